"""`mtrl evaluate` under its two protocols, on runs of the real simulator."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from mtrl.agents import Config, UserError, evaluate
from mtrl.agents.required_fields import LEGACY
from mtrl.cli.main import main
from mtrl.protocols import BIAS
from mtrl.report import read_evaluation
from mtrl.runs.folder import save_config

LEGACY_CONFIG = Path(__file__).parents[2] / "configs/mt10/paper-legacy.yaml"
TINY = shlex.split("""
  --steps 2000 --training.warmup_steps 1500 --training.eval_every_steps 1000 --training.log_every_steps 1000
  --training.batch_per_task 4 --training.threads 1 --agent.actor.width 16 --agent.critic.width 16 --device cpu
""")
OLD_SETTINGS: dict[str, Any] = {
    "env": {"reward_version": "v1", "num_goals": 1, "horizon": 150, "tasks": ["reach-v3", "push-v3"]},
    "agent": {"reward_scaling": "deviation"},
    "training": {"eval_every_steps": 1000, "eval_episodes": 1},
    "evaluation": {"horizon": 150},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("legacy")
    assert main(["train", str(LEGACY_CONFIG), "--out", str(out), *TINY]) == 0
    return out / "mt10-paper-legacy"


def logged(step: int, first: float, second: float) -> dict[str, Any]:
    rates = {"reach-v3": first, "push-v3": second}
    simulator = {"backend": "metaworld", "versions": {"mujoco": "3.3.0"}, "goals": "1 per task", "reward": "V1"}
    return {
        "kind": "evaluation",
        "step": step,
        "wall_s": step / 10,
        "protocol": {"horizon": 150, "episodes": 1},
        "simulator": simulator,
        "success_any": rates,
        "success_final": dict.fromkeys(rates, 0.0),
        "return": {task: 10 * rate for task, rate in rates.items()},
    }


def write_run(folder: Path, *evaluations: dict[str, Any], **changes: dict[str, Any]) -> Path:
    tree = {name: OLD_SETTINGS.get(name, {}) | changes.get(name, {}) for name in OLD_SETTINGS}
    folder.mkdir(parents=True)
    save_config(folder, Config.model_validate_json(json.dumps(tree)), seed=5)
    lines = [{"kind": "start", "step": 0, "seed": 5, "versions": {"torch": "2.9"}}, *evaluations]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"kind": "evaluation", "st')
    return folder


def test_the_shipped_legacy_config_ends_with_its_protocol(trained: Path) -> None:
    folder = trained / "seed_0"
    assert not (folder / "evaluation.json").exists()
    record = json.loads((folder / "evaluation-legacy.json").read_text())
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    evaluations = [event for event in events if event["kind"] == "evaluation"]
    assert [event["step"] for event in evaluations] == [1000, 2000]  # the last policy's too
    assert {event["simulator"]["reward"] for event in evaluations} == {"Meta-World V1"}
    assert record["protocol"]["name"] == "legacy"
    assert (record["protocol"]["horizon"], record["protocol"]["episodes"]) == (150, 1)
    assert len(record["tasks"]) == 10
    best = max(sum(event["success_any"].values()) / 10 for event in evaluations)
    assert record["mean"]["success_any"] == pytest.approx(best)
    table = (trained / "report" / "success.md").read_text()
    assert "legacy" in table
    assert BIAS in table


def test_both_protocols_are_kept_apart(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained / "seed_0"
    before = (folder / "evaluation-legacy.json").read_bytes()
    assert main(["evaluate", str(folder), "--protocol", "modern", "--episodes", "1", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert BIAS not in printed.out
    assert "evaluate seed_0: " in printed.err  # how it goes on, apart from the result
    assert "evaluate seed_0: " not in printed.out
    modern = json.loads((folder / "evaluation.json").read_text())["protocol"]
    assert (modern["name"], modern["horizon"], modern["reward"]) == ("modern", 500, "Meta-World V2")
    assert modern["goals"].startswith("the benchmark's 50 per task")
    assert main(["evaluate", str(folder)]) == 0  # the run's own
    assert BIAS in capsys.readouterr().out
    assert (folder / "evaluation-legacy.json").read_bytes() == before
    (folder / "evaluation.json").unlink()


def test_the_best_evaluation_counts_and_the_first_of_equals(tmp_path: Path) -> None:
    points = [logged(1000, 0, 0), logged(2000, 0, 1), logged(3000, 1, 0), logged(4000, 0, 0)]
    folder = write_run(tmp_path / "run", *points)
    record = evaluate(folder, protocol="legacy")
    assert record["checkpoint"] == {"step": 2000}
    assert record["evaluations"] == {"steps": [1000, 2000, 3000, 4000], "success_any": [0, 0.5, 0.5, 0]}
    assert "the best of 4 evaluations" in record["protocol"]["policy"]
    assert record["mean"] == {"success_any": 0.5, "success_final": 0.0, "mean_return": 5.0}
    assert (record["seed"], record["versions"]) == (5, {"torch": "2.9"})
    result = read_evaluation(folder / "evaluation-legacy.json")
    assert result.success_any.tolist() == [0, 1]
    assert result.episodes == (1, 1)


@pytest.mark.parametrize("name", LEGACY)
def test_other_settings_are_refused_by_name(tmp_path: Path, name: str) -> None:
    other = {"v1": "v2", "deviation": "return", None: 3}.get(LEGACY[name], 7)
    section, field = name.split(".")
    folder = write_run(tmp_path / "run", logged(1000, 1, 1), **{section: {field: other}})
    wanted = "null" if LEGACY[name] is None else LEGACY[name]
    with pytest.raises(UserError) as caught:
        evaluate(folder, protocol="legacy")
    assert str(caught.value) == f"{folder} has no score under protocol legacy: {name} must be {wanted}, got {other}"
    assert not (folder / "evaluation-legacy.json").exists()


def test_all_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "run", env={"horizon": 200}, training={"eval_every_steps": 0})
    assert main(["evaluate", str(folder), "--protocol", "legacy"]) == 2
    assert capsys.readouterr().err == (
        f"mtrl evaluate: error: {folder} has no score under protocol legacy: env.horizon must be 150, got 200; "
        "training.eval_every_steps must be greater than 0, got 0\n"
    )


def test_a_run_that_was_not_evaluated_yet_has_no_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it has logged no evaluation yet"):
        evaluate(write_run(tmp_path / "run"), protocol="legacy")


def test_legacy_has_no_episodes_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="episodes are of protocol modern"):
        evaluate(write_run(tmp_path / "run", logged(1000, 1, 1)), protocol="legacy", episodes=50)


def test_legacy_is_of_meta_worlds_tasks_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others have no success, which is its score: they were left out of it silently."""
    words = [*TINY, "--env.tasks", "[reach-v3, Pendulum-v1, Hopper-v5]"]
    assert main(["train", str(LEGACY_CONFIG), *words, "--out", str(tmp_path)]) == 2
    rule = "env.tasks must be Meta-World's, got Pendulum-v1, Hopper-v5"
    assert capsys.readouterr().err.endswith(f"with evaluation.protocol=legacy {rule}\n")
    assert not list(tmp_path.iterdir())
    folder = write_run(tmp_path / "run", logged(1000, 1, 1), env={"tasks": ["reach-v3", "Pendulum-v1", "Hopper-v5"]})
    with pytest.raises(UserError, match=f"no score under protocol legacy: {rule}$"):
        evaluate(folder, protocol="legacy")


def test_a_config_that_asks_for_legacy_needs_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(LEGACY_CONFIG), "--env.num_goals", "50"]) == 2
    assert capsys.readouterr().err == (
        f"mtrl train: error: {LEGACY_CONFIG}: with evaluation.protocol=legacy env.num_goals must be 1, got 50\n"
    )
