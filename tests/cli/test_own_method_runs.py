"""A method of one's own in the commands: options, checkpoints, resuming, the report."""

import sys
from pathlib import Path

import pytest
import yaml

from mtrl.agents.config import Config
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.main import main
from mtrl.runs import checkpoint
from tests.aggregation.own_method import write_own
from tests.cli.conftest import train_points

NAME = "own_rules.unit:UnitNorm"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, monkeypatch)


def test_a_run_goes_on_and_is_reported_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--method.name {NAME} --method.total 0.5"
    assert train_points(tmp_path, "a", words) == 0
    folder = tmp_path / "a" / "seed_0"
    method = {"name": NAME, "update_every": 1, "total": 0.5}
    assert yaml.safe_load((folder / "config.yaml").read_text())["method"] == method
    assert NAME in (tmp_path / "a" / "report" / "success.md").read_text()
    assert checkpoint.read(folder / "checkpoints" / checkpoint.name(960)).about["config"]["method"] == method
    assert train_points(tmp_path, "a", f"{words} --steps 1200 --resume") == 0
    capsys.readouterr()
    assert train_points(tmp_path, "a", "--method.name mean --steps 1440 --resume") == 2
    assert f"method.name is '{NAME}' there and 'mean' here" in capsys.readouterr().err
    assert main(["evaluate", str(folder), "--episodes", "1"]) == 0


@pytest.mark.parametrize("kind", [Config, SupervisedConfig])
def test_options_are_the_constructors(kind: type[Config | SupervisedConfig], tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("benchmark: {name: toy}" if kind is SupervisedConfig else "")
    (tmp_path / "own.yaml").write_text((tmp_path / "plain.yaml").read_text() + f"\nmethod: {{name: '{NAME}', note: a}}")
    for words in (
        ["plain.yaml", "--method.name", NAME, "--method.total", "2e0", "--method.note", "007"],
        ["plain.yaml", "--method.total=2", "--method.note=007", f"--method.name={NAME}"],
        ["--method.total", "2", "own.yaml", "--method.note", "007"],
    ):
        given = [str(tmp_path / word) if word.endswith(".yaml") else word for word in words]
        config = parse_arguments(given, kind, "").config
        assert (config.method.name, config.method.arguments) == (NAME, {"total": 2.0, "note": "007"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"--method.name {NAME} --method.totl 1", "--method.totl: unknown option; did you mean --method.total?"),
        (f"--method.name {NAME} --method.total a", "method: own_rules.unit:UnitNorm needs total of float, got 'a'"),
        ("--method.name nowhere:A", "method 'nowhere:A': there is no module nowhere"),
        (
            "--method.name own_rules.unit:Drawn --seeds 0 1 --training.seeds_at_once 2",
            "method: Drawn(seed=0) draws the same for all of 2 seeds: it does not implement draw_apart; give ",
        ),
        ("--method.name own_rules.unit:Plain", "method 'own_rules.unit:Plain' must be a subclass of Method"),
        ("--method.nam nowhere:A", "--method.nam: unknown option; did you mean --method.name?"),
    ],
)
def test_mistakes_are_one_line(words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_points(tmp_path, "a", words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_whose_module_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_points(tmp_path, "a", f"--method.name {NAME}") == 0
    assert checkpoint.exists(tmp_path / "a" / "seed_0" / "checkpoints")
    for name in ("own_rules", "own_rules.unit"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "a")]) == 2
    assert f"method '{NAME}': there is no module own_rules" in capsys.readouterr().err
