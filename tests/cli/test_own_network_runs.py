"""A network of one's own in the commands: training, resuming, evaluating, export; what it must not be."""

from pathlib import Path

import pytest
import yaml

from mtrl.cli.main import main
from tests.agents.own_trunk import write_own
from tests.cli.conftest import train_points

NAME = "own_trunks.skip:Skip"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, monkeypatch)


def test_a_run_goes_on_and_is_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--method.name pcgrad --agent.actor.kind {NAME} --agent.critic.kind {NAME} --agent.critic.num_experts 2"
    assert train_points(tmp_path, "a", words) == 0
    folder = tmp_path / "a" / "seed_0"
    agent = yaml.safe_load((folder / "config.yaml").read_text())["agent"]
    assert (agent["actor"]["kind"], agent["critic"]["num_experts"]) == (NAME, 2)
    assert train_points(tmp_path, "a", f"{words} --steps 1200 --resume") == 0
    assert main(["evaluate", str(folder), "--episodes", "1", "--device", "cpu"]) == 0
    capsys.readouterr()
    other = words.replace(f"actor.kind {NAME}", "actor.kind mlp")
    assert train_points(tmp_path, "a", f"{other} --steps 1440 --resume") == 2
    assert f"agent.actor.kind is '{NAME}' there and 'mlp' here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--agent.actor.kind nowhere:A", "agent.actor: network 'nowhere:A': there is no module nowhere"),
        (f"--agent.actor.kind {NAME}p", f"agent.actor: network '{NAME}p': own_trunks.skip has no Skipp; did you mean"),
        ("--agent.actor.kind skip", "--agent.actor.kind must be 'mlp', 'residual', 'simba', 'soft_modular', 'care', "),
        ("--agent.critic.kind own_trunks.skip:Twice", "agent.critic: network 'own_trunks.skip:Twice': the tasks' grad"),
    ],
)
def test_mistakes_are_one_line(words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_points(tmp_path, "a", words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()
