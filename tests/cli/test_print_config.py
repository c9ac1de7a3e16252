"""`--print-config`: what would be run, whole, and nothing is."""

from pathlib import Path

import pytest
import yaml

from mtrl.agents.config import Config
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.main import main
from tests.cli.conftest import TOY, train_points


def test_what_is_printed_is_the_configuration_and_a_valid_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--seeds 0 1 --method.name cagrad --method.c 0.3 --agent.max_grad_norm 1 --print-config"
    assert train_points(tmp_path, "a", words) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "a").exists()
    (tmp_path / "again.yaml").write_text(printed)
    again = parse_arguments([str(tmp_path / "again.yaml")], Config, "").config
    asked = [str(tmp_path / "points.yaml"), "--name", "a", "--out", str(tmp_path), "--steps", "960", *words.split()]
    assert again == parse_arguments(asked, Config, "").config
    assert yaml.safe_load(printed)["method"] == {"name": "cagrad", "update_every": 1, "c": 0.3}
    assert yaml.safe_load(printed).keys() == Config.model_fields.keys()


def test_of_a_supervised_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy.yaml").write_text(TOY)
    assert main(["supervised", "--print-config", str(tmp_path / "toy.yaml"), "--out", str(tmp_path / "runs")]) == 0
    (tmp_path / "again.yaml").write_text(capsys.readouterr().out)
    again = parse_arguments([str(tmp_path / "again.yaml")], SupervisedConfig, "").config
    assert (
        again
        == parse_arguments([str(tmp_path / "toy.yaml"), "--out", str(tmp_path / "runs")], SupervisedConfig, "").config
    )
    assert not (tmp_path / "runs").exists()


def test_of_a_sweep_a_document_for_each_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy.yaml").write_text(TOY)
    (tmp_path / "sweep.yaml").write_text("{name: s, base: toy.yaml, methods: [mean, famo], seeds: 2}")
    command = ["sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "runs"), "--print-config"]
    assert main([*command, "--only", "*/seed_1"]) == 0
    trials = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [(trial["method"]["name"], trial["seeds"], trial["name"]) for trial in trials] == [
        ("mean", [1], "mean"),
        ("famo", [1], "famo"),
    ]
    assert not (tmp_path / "runs").exists()


def test_a_mistake_is_still_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_points(tmp_path, "a", "--print-config --agent.discount 2") == 2
    captured = capsys.readouterr()
    assert "--agent.discount must be less than 1" in captured.err
    assert captured.out == ""
