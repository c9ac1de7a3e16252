"""What cannot work is said before anything is written, and a folder in which nothing was trained stands in no way."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtrl import envs
from mtrl.agents import Config, MultiTaskSAC, UserError, evaluate, train
from mtrl.agents.preflight import notes
from mtrl.agents.training_loop import Training
from mtrl.cli.main import main
from mtrl.runs import checkpoint
from mtrl.runs.events import Event
from mtrl.runs.folder import load_config, save_config, was_trained
from mtrl.runs.identity import identity
from mtrl.supervised import train as train_supervised
from tests.runs.small_runs import rewritten, small, toy, trained, trained_toy

TERABYTES: dict[str, dict[str, Any]] = {
    "training.replay_capacity_per_task": {"training": {"replay_capacity_per_task": 10**12}},
    "agent.critic": {"agent": {"critic": {"kind": "mlp", "width": 65_536, "depth": 1_000}}},
    "training.batch_per_task": {"training": {"batch_per_task": 10**6}, "agent": {"actor": {"width": 30_000}}},
}
METHODS: dict[str, dict[str, Any]] = {
    "AlignedMTL needs": {"name": "aligned_mtl", "preference": [1.0, 2.0]},
    "Krum needs|Krum\\(.*needs at least": {"name": "krum", "num_byzantine": 3},
    "STCH needs": {"name": "stch", "ideal": [0.0]},
    "takes one matrix|needs cvxpy": {"name": "nash_mtl", "solver": "ccp"},
}


@pytest.mark.parametrize("what", TERABYTES)
def test_more_than_the_memory(what: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{what} would take [\d,]+ GiB, and this machine has"):
        train(small(**TERABYTES[what]), {0: tmp_path / "run"})
    assert not (tmp_path / "run").exists()


def test_a_replay_too_small_for_one_step_of_all_environments() -> None:
    rule = "training.replay_capacity_per_task must be at least env.num_envs_per_task=2, got 1"
    with pytest.raises(ValueError, match=rule):
        small(training={"replay_capacity_per_task": 1})


@pytest.mark.parametrize("told", METHODS)
def test_methods_that_do_not_fit_the_tasks(told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"method: .*({told})"):
        train(_with_method(METHODS[told]), {0: tmp_path / "run"})
    with pytest.raises(UserError, match=f"method: .*({told})"):
        MultiTaskSAC(_with_method(METHODS[told]), seed=0).learn(80)
    if "needs at least" not in told:
        with pytest.raises(UserError, match="method: "):
            train_supervised(toy(method=METHODS[told] | _longer(told)), 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["famo", "grad_norm"])
def test_a_method_of_positive_losses_is_not_for_the_actor_alone(name: str, tmp_path: Path) -> None:
    """It would be a plain mean that bears the method's name."""
    rule = f"^agent.aggregated must be both or critic with {name}, which needs positive losses, got actor"
    with pytest.raises(UserError, match=rule):
        train(small(method={"name": name}, agent={"aggregated": "actor"}), {0: tmp_path / "run"})
    assert not (tmp_path / "run").exists()
    train(small(steps=40, method={"name": "pcgrad"}, agent={"aggregated": "actor"}), {0: tmp_path / "run"})


def _with_method(method: dict[str, Any]) -> Config:
    tree = small().model_dump(mode="json") | {"method": method}
    return Config.model_validate_json(json.dumps(tree))


def _longer(told: str) -> dict[str, Any]:
    return {"preference": [1.0] * 3} if "AlignedMTL" in told else {}


def test_simulators_that_cannot_leave_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="goals_visible"):
        train(small(env={"goals_visible": False}), {0: tmp_path / "run"})
    with pytest.raises(UserError, match="backend"):
        train(small(env={"backend": "envpool"}), {0: tmp_path / "run"})
    assert not (tmp_path / "run").exists()


def test_a_folder_in_which_nothing_was_trained_is_no_run(tmp_path: Path) -> None:
    """As a run leaves it that was killed before its first log line; another configuration may take it."""
    folder = tmp_path / "seed_0"
    folder.mkdir()
    save_config(folder, small(method={"name": "mean"}), 0)
    (folder / "metrics.jsonl").write_text('{"kind": "start", "step": 0, "seed": 0, "versions": {}}\n')
    assert not was_trained(folder)
    train(small(), {0: folder})
    assert was_trained(folder)
    assert load_config(folder, type(small())).method.name == "pcgrad"
    assert (folder / "metrics.jsonl").read_text().count('"start"') == 1
    with pytest.raises(UserError, match="never overwritten"):
        train(small(), {0: folder})


def test_a_result_is_not_trained_over(tmp_path: Path) -> None:
    """A finished run whose checkpoints somebody has deleted: its log and its evaluation stay."""
    config = small()
    train(config, {0: tmp_path / "run"})
    evaluate(tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    with pytest.raises(UserError, match=r"run is evaluated but has no checkpoint to go on from; anew it needs"):
        train(config, {0: tmp_path / "run"}, resume=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}


@pytest.mark.parametrize("supervised", [False, True])
def test_a_run_without_its_configuration_is_not_trained_over(supervised: bool, tmp_path: Path) -> None:
    """As where not all of it was copied: with a checkpoint it goes on, and the rest is never written over."""
    folder, place = tmp_path / "run", tmp_path / "place"
    (trained_toy if supervised else trained)(folder)

    def go_on(resume: bool) -> None:
        if supervised:
            train_supervised(toy(epochs=3), 0, folder, resume=resume)
        else:
            train(small(steps=480), {0: folder}, resume=resume)

    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    (folder / "config.yaml").unlink()
    (folder / "checkpoints").rename(place)
    before = content()
    with pytest.raises(UserError, match=r"run has lost its config.yaml: put it back, or choose another"):
        go_on(resume=True)
    with pytest.raises(UserError, match="never overwritten"):
        go_on(resume=False)
    place.rename(folder / "checkpoints")
    with pytest.raises(UserError, match="never overwritten"):
        go_on(resume=False)
    assert {path: text for path, text in content().items() if path.parent == folder} == before
    go_on(resume=True)
    assert load_config(folder, type(toy() if supervised else small())).method.name


def test_a_killed_simulator_is_one_line_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Training.vector_step

    def killing(self: Training) -> None:
        if self.step == 240:
            os.kill(self.replicas[0].env.worker_pids()[0], signal.SIGKILL)  # type: ignore[attr-defined]
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "vector_step", killing)
        with pytest.raises(UserError, match=r"was killed by signal 9 at step 240: stopped; .* of step 160, is kept"):
            train(small(), {0: tmp_path / "run"})
    straight = trained(tmp_path / "straight")
    train(small(), {0: tmp_path / "run"}, resume=True)
    one, other = (evaluate(folder, device="cpu") for folder in (straight, tmp_path / "run"))
    assert (one["tasks"], one["checkpoint"]) == (other["tasks"], other["checkpoint"])


def test_what_will_not_be_learned_is_said(tmp_path: Path) -> None:
    told: list[str] = []

    def listen(event: Event, seed: int | None) -> None:
        if event["kind"] == "note":
            told.append(event["text"])

    train(small(steps=40), {0: tmp_path / "a"}, on_event=listen)
    assert told == [
        "nothing will be learned: steps 40 are no more than training.warmup_steps 40",
        "no episode may end in training: the first takes 80 steps of all environments together, steps are 40",
    ]
    told.clear()
    train(small(), {0: tmp_path / "b"}, on_event=listen)
    assert told == []


@pytest.mark.parametrize("scaling", ["none", "deviation"])
def test_what_the_critic_does_not_cover_and_what_does_nothing_is_said(scaling: str) -> None:
    assert notes(small(agent={"value": "hl_gauss", "value_limit": 12.5, "reward_scaling": scaling})) == [
        "agent.value hl_gauss covers returns up to agent.value_limit 12.5, to which "
        f"agent.reward_scaling {scaling} does not bring them: larger ones are the limit to the critic"
    ]
    assert notes(small(agent={"value": "scalar", "reward_scaling": scaling})) == []
    told = notes(small(method={"name": "mean"}, agent={"single_task": "ours", "temperature": "shared"}))
    assert told == ["agent.temperature shared does nothing with agent.single_task ours: it is per task"]
    assert notes(small(training={"cuda_graphs": True})) == [
        "training.cuda_graphs does nothing while training.compile is false: they are of a compiled update"
    ]
    assert notes(small(training={"cuda_graphs": True, "compile": True})) == []


def test_a_step_size_that_jumps_as_a_run_goes_on_is_said(tmp_path: Path) -> None:
    told: list[str] = []

    def listen(event: Event, seed: int | None) -> None:
        if event["kind"] == "note":
            told.append(event["text"])

    falling = {"learning_rate": 1e-3, "final_learning_rate": 0.5}
    trained(tmp_path / "falling", agent=falling)
    trained(tmp_path / "constant")
    for folder, agent in (("falling", falling), ("constant", {})):
        train(small(agent=agent, steps=640), {0: tmp_path / folder}, resume=True, on_event=listen)
    assert told == [
        "the step size falls over the steps, 320 before and 640 now: at step 320 it jumps from 0.0005 to 0.00075, and "
        "the run is recorded as one of 640 steps"
    ]


@pytest.mark.parametrize("name", ["1e5", "yes", "007", "1_000", "null", "true", "é"])
def test_any_name_is_kept_as_it_is(name: str, tmp_path: Path) -> None:
    config = small(name=name, steps=40)
    tmp_path.joinpath("run").mkdir()
    save_config(tmp_path / "run", config, 0)
    path = tmp_path / "run" / "config.yaml"
    assert load_config(tmp_path / "run", type(config)) == config.of_seed(0)
    assert yaml.safe_load(path.read_text())["name"] == name


@pytest.mark.parametrize("command", ["evaluate", "export", "record"])
def test_a_run_whose_tasks_are_not_found_here_is_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where their module is not installed."""
    folder, config = trained(tmp_path / "seed_0"), small(env={"tasks": "gone_module:Mine-v0"})
    save_config(folder, config, 0)
    rewritten(folder, checkpoint.load_newest(folder / "checkpoints"), **identity(config, 0))
    with pytest.raises(UserError) as caught:
        train(config, {0: tmp_path / "new"})
    capsys.readouterr()
    assert main([command, str(folder)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"mtrl {command}: error: {caught.value}"
    assert "gone_module" in str(caught.value)


def test_tasks_that_are_none_are_one_line() -> None:
    for tasks in (None, 3, [None], [3]):
        with pytest.raises(ValueError, match="tasks"):
            envs.make(tasks)  # type: ignore[arg-type]


def test_many_environments_are_told_to_their_workers() -> None:
    """More than an argument of a process holds."""
    with envs.make("Points", num_envs_per_task=3_000, horizon=10, num_workers=1) as env:
        assert env.reset().shape[:2] == (4, 3_000)


@pytest.mark.parametrize("place", ["file", "dangling", "loop", "read-only"])
def test_folders_that_are_none(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(small().model_dump(mode="json")))
    run = tmp_path / "runs" / "small" / "seed_0"
    run.parent.mkdir(parents=True)
    if place == "file":
        run.write_text("")
    elif place == "dangling":
        run.symlink_to(tmp_path / "nowhere" / "at all")
    elif place == "loop":
        run.symlink_to(run)
    else:
        run.symlink_to("/proc/seed_0")
    assert main(["train", str(tmp_path / "x.yaml"), "--out", str(tmp_path / "runs"), "--device", "cpu"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    if place != "dangling":
        assert main(["evaluate", str(run)]) == 2
        assert main(["status", str(run)]) == 2
        assert main(["report", str(run), "--out", str(tmp_path / "report")]) == 2
        assert capsys.readouterr().err.count("\n") == 3


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/proc/self/mem", "/", "no\0name", "\udc80"])
def test_configurations_that_are_no_files(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", path]) == 2
    assert capsys.readouterr().err.count("\n") == 1
