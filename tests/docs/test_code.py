"""Each block of Python on a page runs, after those before it; what it is about comes out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtrl import envs
from mtrl.agents import Config, train
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.main import main
from mtrl.runs.yaml_file import read_yaml
from tests.docs.pages import DOCS, PAGES, README, ROOT, code, files_of, name_of

CUT = {"learn(100_000)": "learn(400)"}
"""What would take minutes, and what is run instead."""
SHOWING_CODE = [page for page in PAGES if code(page, "python").strip()]


def run(page: Path) -> dict[str, Any]:
    """The names that the page's program leaves."""
    program = code(page, "python")
    for long, short in CUT.items():
        program = program.replace(long, short)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program, str(page), "exec"), names)
    return names


@pytest.fixture
def exported(tmp_path: Path) -> None:
    """A run of that name, of one task, not trained, and its policy's ONNX file."""
    fields = {"steps": 80, "env": {"tasks": "MT1:reach-v3", "num_envs_per_task": 2, "horizon": 20, "num_workers": 1}}
    network = {"kind": "mlp", "width": 8, "depth": 1}
    fields |= {"agent": {"actor": network, "critic": network}, "device": "cpu", "seeds": (0,)}
    fields |= {"training": {"precision": "float32", "threads": 1}, "evaluation": {"episodes": 1, "horizon": 5}}
    train(Config.model_validate(fields), {0: tmp_path / "runs/mt10-quick/seed_0"})
    assert main(["export", str(tmp_path / "runs/mt10-quick"), "--format", "onnx"]) == 0


@pytest.fixture
def one_process() -> Any:
    """No process group is left behind."""
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("page", SHOWING_CODE, ids=name_of)
def test_it_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "policy.onnx" in code(page, "python"):
        request.getfixturevalue("exported")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in files_of(page).items():
        (tmp_path / name).write_text(text)
    names = run(page)
    if page in CHECKS:
        CHECKS[page](names)


def the_training_loop(names: dict[str, Any]) -> None:
    assert (names["weights"] > 0).all()
    assert all(p.grad is not None for p in [*names["trunk"].parameters(), *names["heads"].parameters()])


def the_readme(names: dict[str, Any]) -> None:
    the_training_loop(names)
    # The Nash direction is as long as there are tasks.
    square = sum((p.grad**2).sum() for p in names["trunk"].parameters())
    torch.testing.assert_close(square, torch.tensor(3.0))
    assert names["model"].num_timesteps == 400


def the_environments(names: dict[str, Any]) -> None:
    assert names["step"].next_obs.shape == (10, 4, 39)
    assert (names["step"].episode_length == 3).all()


CHECKS: dict[Path, Callable[[dict[str, Any]], None]] = {
    README: the_readme,
    DOCS / "start/own-loop.md": the_training_loop,
    DOCS / "guide/environments.md": the_environments,
}


def test_a_file_of_a_page_is_whole_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: text for page in PAGES for name, text in files_of(page).items()}
    monkeypatch.setattr(envs, "make", None)  # an import starts no simulators
    for name, text in files.items():
        exec(compile(text, name, "exec"), {"__name__": name.removesuffix(".py")})
    assert "my_tasks.py" in files


def test_what_is_cut_is_there() -> None:
    assert all(any(long in code(page, "python") for page in SHOWING_CODE) for long in CUT)
    assert all(page in SHOWING_CODE for page in CHECKS)


def test_code_that_does_not_run_is_another_librarys() -> None:
    not_run = [name_of(page) for page in PAGES if ":class: not-run" in page.read_text()]
    assert not_run == ["docs/guide/from-torchjd-libmtl.md"]


def test_the_shipped_example_of_a_configuration() -> None:
    assert read_yaml(ROOT / "configs/mt10/quick.yaml")["name"] == "mt10-quick"  # whose folder the pages name


def test_the_configuration_of_own_tasks_trains_on_them(tmp_path: Path) -> None:
    page = DOCS / "guide/environments.md"
    (tmp_path / "reach.yaml").write_text(code(page, "yaml"))
    config = parse_arguments([str(tmp_path / "reach.yaml")], Config, "").config
    registered = {f"my_tasks:{name}" for name in re.findall(r'gymnasium.register\("([^"]+)"', code(page, "python"))}
    assert set(config.env.tasks) == registered
    assert config.steps > 2 * config.training.warmup_steps
    assert f"mtrl train {config.name}.yaml" in page.read_text()
