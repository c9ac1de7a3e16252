"""No file that is read runs a program that it holds."""

import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtrl.agents import MultiTaskSAC, UserError, evaluate, record_episodes, train
from mtrl.agents.export import export_policy
from mtrl.benchmarks import SupervisedConfig
from mtrl.benchmarks.qm9 import processed
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.cli.main import main
from mtrl.runs import checkpoint
from mtrl.runs.folder import load_config
from mtrl.supervised import train as train_supervised
from mtrl.supervised.benchmark_learner import Measured
from tests.runs.small_runs import Touch, malicious_files, newest, small, toy, trained, trained_toy

KINDS = ("zipped", "plain", "bare", "disguised", "stored")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One of reinforcement learning and one of supervised learning."""
    root = tmp_path_factory.mktemp("runs")
    return trained(root / "agent"), trained_toy(root / "toy")


@pytest.mark.parametrize("kind", KINDS)
def test_no_place_that_reads_a_checkpoint_runs_it(runs: tuple[Path, Path], kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    file = malicious_files(tmp_path / "files", mark)[kind]
    agent, supervised = (shutil.copytree(run, tmp_path / run.name) for run in runs)
    for folder in (agent, supervised):
        shutil.copy(file, newest(folder))
    uses: dict[str, Callable[[], object]] = {
        "evaluate": lambda: evaluate(agent),
        "record": lambda: record_episodes(agent, episodes=1, device="cpu"),
        "export": lambda: export_policy(agent, tmp_path / "out", ("torch",)),
        "resume": lambda: train(small(steps=640), {0: agent}, resume=True),
        "load": lambda: MultiTaskSAC.load(agent, device="cpu"),
        "load a file": lambda: MultiTaskSAC.load(file, device="cpu"),
        "supervised": lambda: train_supervised(toy(epochs=3), 0, supervised, resume=True),
    }
    for name, use in uses.items():
        with pytest.raises(UserError) as caught:
            use()
        assert not mark.exists(), name
        assert "\n" not in str(caught.value)
        if kind in ("zipped", "bare"):
            assert "is a pickle of an older version, which could run programs: `mtrl convert" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_conversion_runs_none_either(
    runs: tuple[Path, Path], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    file = malicious_files(tmp_path / "files", mark)[kind]
    supervised = shutil.copytree(runs[1], tmp_path / "supervised")
    shutil.copy(file, newest(supervised))
    for path in (file, newest(supervised)):
        before = path.read_bytes()
        assert main(["convert", str(path)]) == 2
        printed = capsys.readouterr()
        assert printed.out.startswith(
            "Trusted: tensors, numpy arrays, collections.Counter, mtrl.supervised.learner.Measured."
        )
        assert printed.err.count("\n") == 1
        assert path.read_bytes() == before
    assert main(["convert", str(tmp_path / "none.pt")]) == 2
    assert capsys.readouterr().err.endswith("none.pt is no file\n")
    assert not mark.exists()
    assert mark.parent.exists()
    torch.load(malicious_files(tmp_path / "more", mark)["zipped"], weights_only=False)
    assert mark.exists()  # as it would have been


def test_processed_qm9_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric")
    mark = tmp_path / "mark"
    for file in malicious_files(tmp_path / "files", mark).values():
        path = tmp_path / "data" / processed.NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, path)
        with pytest.raises(UserError, match="is not torch_geometric's processed QM9"):
            read_folder(tmp_path / "data")
    torch.save(({"z": torch.ones(3)}, {"z": torch.tensor([0, 3])}, Touch(mark)), path)
    with pytest.raises(UserError, match="is not torch_geometric's processed QM9"):
        read_folder(tmp_path / "data")
    assert not mark.exists()


def test_an_agent_of_an_older_version_is_left_to_it(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its networks were lists of tensors then, and its replay had other rows: a file with these is nothing to go on."""
    old = shutil.copytree(runs[0], tmp_path / "old")
    state = checkpoint.load_newest(old / "checkpoints")
    torch.save(state, newest(old))
    torch.save({"config": small().model_dump_json(), "state": state}, tmp_path / "model.pt")
    for path in (newest(old), tmp_path / "model.pt"):
        before = path.read_bytes()
        assert main(["convert", str(path)]) == 2
        assert "agents of version 0.1.0 go on, and are evaluated, with that version alone" in capsys.readouterr().err
        assert path.read_bytes() == before
    with pytest.raises(UserError, match=r"a supervised run's, and runs none; agents of version 0\.1\.0 go on"):
        evaluate(old)


def test_a_supervised_run_of_an_older_version_is_converted(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(runs[1], tmp_path / "toy")
    state = checkpoint.load_newest(folder / "checkpoints")
    more = {"milestones": Counter({3: 1}), "measured": [Measured(torch.ones(2), torch.tensor(0.5))]}
    with monkeypatch.context() as older:  # the module had another name
        older.setitem(sys.modules, "mtrl.supervised.learner", sys.modules[Measured.__module__])
        older.setattr(Measured, "__module__", "mtrl.supervised.learner")
        torch.save(state | {"more": more}, newest(folder))
    assert main(["convert", str(newest(folder))]) == 0
    assert "converted" in capsys.readouterr().out
    assert checkpoint.load_newest(folder / "checkpoints", toy().of_seed(0))["more"]["milestones"] == {3: 1}


def test_a_run_that_0_1_0_trained_goes_on_as_it_did_there(tmp_path: Path) -> None:
    """Files that 0.1.0 wrote (commit 13d4bec): of the toy with FAMO, after the last two epochs."""
    folder = shutil.copytree(Path(__file__).parent / "of_0_1_0", tmp_path / "run")
    for path in (folder / "checkpoints").iterdir():
        assert main(["convert", str(path)]) == 0
    there = checkpoint.load_newest(folder / "checkpoints")
    newest(folder).unlink()
    train_supervised(load_config(folder, SupervisedConfig), 0, folder, resume=True)
    here = checkpoint.load_newest(folder / "checkpoints")
    assert here["step"] == there["step"] == 4
    torch.testing.assert_close(here["job"], there["job"])


def test_what_is_no_file_of_an_older_version_is_left_alone(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(runs[0], tmp_path / "agent")
    torch.save({"step": 160}, newest(folder))
    torch.save({"other": 1}, tmp_path / "other.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a", "b")
    (tmp_path / "text.pt").write_text("text")
    whole = folder / "checkpoints" / "000000000160.pt"
    for path in (newest(folder), tmp_path / "other.pt", tmp_path / "zip.pt", tmp_path / "text.pt", tmp_path, whole):
        assert main(["convert", str(path)]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert ("is of this version already" in line) == (path == whole)
