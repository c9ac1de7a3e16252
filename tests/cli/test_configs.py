"""`mtrl configs`, and configurations called by name."""

from pathlib import Path

import pytest

from mtrl.agents import MultiTaskSAC
from mtrl.agents.config import Config
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import load_config, parse_arguments
from mtrl.cli.main import main
from mtrl.runs.configs import shipped, what_it_is
from mtrl.runs.errors import UserError

ROOT = Path(__file__).parents[2]


def test_they_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert len(names) == len([*ROOT.glob("configs/*/*.yaml")])
    assert "mt1/reach                      One task, solved in a few minutes on two cores." in lines


@pytest.mark.parametrize("name", shipped())
def test_each_begins_with_a_sentence_that_says_what_it_is(name: str) -> None:
    path = shipped()[name]
    assert path.read_text().startswith("# ")
    assert what_it_is(path).endswith(".")
    assert len(what_it_is(path)) <= 100


def test_a_name_means_one_from_any_folder_and_a_path_that_exists_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = load_config(ROOT / "configs" / "mt10" / "quick.yaml", Config)
    assert parse_arguments(["mt10/quick"], Config, "").config == ours
    assert parse_arguments(["supervised/toy", "--epochs", "3"], SupervisedConfig, "").config.benchmark.name == "toy"
    (tmp_path / "mt10").mkdir()
    (tmp_path / "mt10" / "quick").write_text("name: mine\n")
    assert parse_arguments(["mt10/quick"], Config, "").config == Config(name="mine")


def test_in_python_a_name_means_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"tasks": ["reach"], "num_envs_per_task": 1}
    model = MultiTaskSAC("mt1/reach", env=small | {"tasks": "Points"}, device="cpu", training={"compile": False})
    assert model.config.steps == load_config(ROOT / "configs" / "mt1" / "reach.yaml", Config).steps


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("train mt10/quik", "train: error: mt10/quik is neither a file nor a configuration that comes with mtrl; "
         "did you mean mt10/quick?"),
        ("train gone", "train: error: gone is neither a file nor a configuration that comes with mtrl; "
         "`mtrl configs` lists them"),
        ("train ../../pyproject", "train: error: ../../pyproject is neither a file nor a configuration that comes with "
         "mtrl; `mtrl configs` lists them"),
        ("train gone.yaml", "train: error: gone.yaml: No such file or directory"),
        ("configs copy mt10/quik .", "configs: error: mt10/quik is neither a file nor a configuration that comes with "
         "mtrl; did you mean mt10/quick?"),
        ("configs copy laptop .", "configs: error: laptop is neither a file nor a configuration that comes with mtrl; "
         "did you mean mt10/laptop or mt50/laptop?"),
        ("configs copy mt10/quick gone/x.yaml", "configs: error: gone/x.yaml: No such file or directory"),
        ("configs copy mt10/quick", "configs: error: the following arguments are required: DIR"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_one_line(
    words: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    assert capsys.readouterr().err == f"mtrl {line}\n"


def test_a_copy_is_the_same_and_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["configs", "copy", "mt10/quick", "."]) == 0
    assert capsys.readouterr().out == "quick.yaml\n"
    assert Path("quick.yaml").read_bytes() == (ROOT / "configs" / "mt10" / "quick.yaml").read_bytes()
    Path("quick.yaml").write_text("mine")
    assert main(["configs", "copy", "mt10/quick", "."]) == 2
    assert capsys.readouterr().err == "mtrl configs: error: quick.yaml exists: give the path of a new file\n"
    assert Path("quick.yaml").read_text() == "mine"
    assert main(["configs", "copy", "mt10/quick", "other.yaml"]) == 0
    assert main(["configs", "copy", "mt10/quick", "new/folder/"]) == 0
    assert capsys.readouterr().out == "other.yaml\nnew/folder/quick.yaml\n"
    assert main(["configs", "copy", "mt10/quick", "other.yaml/"]) == 2
    assert capsys.readouterr().err == "mtrl configs: error: other.yaml: File exists\n"
    with pytest.raises(UserError):
        load_config(Path("quick.yaml"), Config)
    assert load_config(Path("other.yaml"), Config).name == "mt10-quick"
