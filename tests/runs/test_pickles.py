"""No file that is read runs a program that it holds."""

import importlib
import json
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
from mtrl.benchmarks.qm9 import processed
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.cli.main import main
from mtrl.runs import checkpoint
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
    agent = shutil.copytree(runs[0], tmp_path / "agent")
    shutil.copy(file, newest(agent))
    for path in (file, newest(agent)):
        before = path.read_bytes()
        assert main(["convert", str(path)]) == 2
        printed = capsys.readouterr()
        assert printed.out.startswith("Trusted: tensors, numpy arrays, collections.Counter, agents.metrics.")
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


def old_state(folder: Path) -> dict:
    """As older versions had it: with named tuples, of a module that had another name."""
    ComponentMetrics = importlib.import_module("agents.metrics").ComponentMetrics
    state = checkpoint.load_newest(folder / "checkpoints")
    agent = state["agent"]
    agent["last_critic"] = ComponentMetrics(*agent["last_critic"])
    agent["last_actor"] = (ComponentMetrics(*agent["last_actor"][0]), agent["last_actor"][1])
    return state


def test_a_run_of_an_older_version_is_converted_and_goes_on_as_it_would_have(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, old = (shutil.copytree(runs[0], tmp_path / name) for name in ("ours", "old"))
    torch.save(old_state(old), newest(old))
    with pytest.raises(UserError, match="`mtrl convert"):
        evaluate(old)
    assert main(["convert", str(newest(old))]) == 0
    assert "converted" in capsys.readouterr().out
    assert newest(old).read_bytes() == newest(ours).read_bytes()
    for folder in (ours, old):
        train(small(steps=480), {0: folder}, resume=True)
    one, other = (checkpoint.load_newest(folder / "checkpoints")["agent"]["parameters"] for folder in (ours, old))
    for name, tensors in one.items():
        assert all(torch.equal(a, b) for a, b in zip(tensors, other[name], strict=True))


def test_a_saved_agent_of_an_older_version_is_converted(runs: tuple[Path, Path], tmp_path: Path) -> None:
    config = small().model_dump_json()
    torch.save({"config": config, "state": old_state(runs[0])}, tmp_path / "model.pt")
    assert main(["convert", str(tmp_path / "model.pt")]) == 0
    saved = checkpoint.read(tmp_path / "model.pt")
    assert saved.about == {"config": json.loads(config)}
    with MultiTaskSAC.load(tmp_path / "model.pt", device="cpu") as model:
        assert model.num_timesteps == 320


def test_a_supervised_run_of_an_older_version_is_converted(
    runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(runs[1], tmp_path / "toy")
    state = checkpoint.load_newest(folder / "checkpoints")
    more = {"milestones": Counter({3: 1}), "measured": [Measured(torch.ones(2), torch.tensor(0.5))]}
    with monkeypatch.context() as older:  # the module had another name
        older.setitem(sys.modules, "mtrl.supervised.learner", sys.modules[Measured.__module__])
        older.setattr(Measured, "__module__", "mtrl.supervised.learner")
        torch.save(state | {"more": more}, newest(folder))
    assert main(["convert", str(newest(folder))]) == 0
    assert checkpoint.load_newest(folder / "checkpoints", toy().of_seed(0))["more"]["milestones"] == {3: 1}


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
