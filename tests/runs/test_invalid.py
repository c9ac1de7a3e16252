"""What a run's folder holds that is not of this kind, or not valid: one line that says what."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mtrl.agents import Config
from mtrl.cli.main import main
from mtrl.runs.errors import UserError
from mtrl.runs.folder import load_config, save_config
from mtrl.runs.identity import config_of
from tests.runs.small_runs import small, toy

INVALID: dict[str, dict[str, Any]] = {
    "steps must be greater than 0, got -5": {"steps": -5},
    "env.horizon must be a valid integer, got 'long'": {"env": {"horizon": "long"}},
    "agent.depth: unknown key": {"agent": {"depth": 3}},
    "method: CAGrad needs 0 <= c < 1, got c=1.5": {"method": {"name": "cagrad", "c": 1.5}},
    "agent.actor.kind must be .*, got 'cube'": {"agent": {"actor": {"kind": "cube"}}},
    "agent.task_embedding is agent.conditioning.embedding_size since 0.2.0; for 0, .*encoding is none": {
        "agent": {"task_embedding": 32}
    },
    "env must be a section of keys, got 3": {"env": 3},
}


@pytest.mark.parametrize("line", INVALID)
def test_an_invalid_configuration_is_told_with_field_rule_and_value(line: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"name": "a", **INVALID[line]}))
    with pytest.raises(UserError, match=rf"^{tmp_path}/config.yaml is not a valid configuration: {line}$"):
        load_config(tmp_path, Config)
    with pytest.raises(UserError, match=rf"^a.pt carries no configuration of this kind .*: {line}$"):
        config_of({"config": INVALID[line]}, Config, Path("a.pt"))


@pytest.mark.parametrize("command", ["evaluate", "export", "push", "record"])
def test_a_supervised_run_has_no_policy(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if command == "record":
        pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "seed_0").mkdir()
    save_config(tmp_path / "seed_0", toy(), 0)
    assert main([command, str(tmp_path / "seed_0"), *(["a/b"] if command == "push" else [])]) == 2
    line = f"mtrl {command}: error: {tmp_path / 'seed_0'} is a supervised run, which has no policy"
    assert capsys.readouterr().err.splitlines()[-1] == line


def test_a_run_of_reinforcement_learning_is_not_supervised(tmp_path: Path) -> None:
    save_config(tmp_path, small(), 0)
    with pytest.raises(UserError, match="is a run of reinforcement learning, not a supervised one"):
        load_config(tmp_path, type(toy()))
