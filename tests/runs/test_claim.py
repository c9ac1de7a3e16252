"""An attempt that was followed by another one writes nothing more; checkpoints are as young as asked for."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtrl.agents import train
from mtrl.runs import checkpoint
from mtrl.runs.claim import SupersededError, attempts, check_claim, claimed
from mtrl.runs.events import Event
from mtrl.runs.files import replacing
from mtrl.supervised import train as train_supervised
from tests.runs.small_runs import small, toy


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("trains", ["agent", "supervised"])
def test_nothing_is_written_after_another_attempt_has_begun(tmp_path: Path, trains: str) -> None:
    folder = tmp_path / "seed_0"
    seen: dict[str, bytes] = {}

    def on_event(event: Event, seed: int | None = None) -> None:
        if event["kind"] == "train" and not seen:
            (folder / "attempt").write_text("2 elsewhere 12 0123")
            seen.update(content(folder))

    use: dict[str, Callable[[], object]] = {
        "agent": lambda: train(small(), {0: folder}, on_event=on_event),
        "supervised": lambda: train_supervised(toy(), 0, folder, on_event=on_event),
    }
    with pytest.raises(SupersededError, match="attempt 2 goes on there, process 12 on elsewhere"), claimed(folder):
        use[trains]()
    assert seen
    assert content(folder) == seen


def test_a_claim_counts_ends_and_is_of_its_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "seed_0"
    for number in (1, 2):
        with claimed(folder):
            assert attempts(folder) == number
            check_claim(folder / "checkpoints" / "1.pt")
            (folder / "attempt").unlink()
            check_claim(tmp_path / "seed_01" / "metrics.jsonl")
            with pytest.raises(SupersededError):
                check_claim(folder / "metrics.jsonl")
            (folder / "attempt").write_text(f"{number}")
    check_claim(folder / "metrics.jsonl")


def test_a_claim_on_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"), claimed(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]


def test_a_file_that_is_being_written_as_another_attempt_begins_takes_no_place(tmp_path: Path) -> None:
    folder = tmp_path / "seed_0"
    path = folder / "evaluation.json"

    def overtaken() -> None:
        with replacing(path) as file:
            file.write(b"after")
            (folder / "attempt").write_text("2 elsewhere 12 0123")

    with claimed(folder):
        path.write_text("before")
        with pytest.raises(SupersededError):
            overtaken()
    assert content(folder) == {"attempt": b"2 elsewhere 12 0123", "evaluation.json": b"before"}


def test_checkpoints_by_the_clock_change_nothing(tmp_path: Path) -> None:
    """One after every vector step, of which the newest two are kept, against none but the last."""
    rare, often = (
        small(training={"checkpoint_every_steps": 10**6, "checkpoint_every_minutes": minutes}) for minutes in (0, 1e-9)
    )
    train(rare, {0: tmp_path / "rare"})
    train(often, {0: tmp_path / "often"})
    steps = {name: checkpoint.steps(tmp_path / name / "checkpoints") for name in ("rare", "often")}
    assert steps == {"rare": [320], "often": [312, 320]}
    states = [checkpoint.load_newest(tmp_path / name / "checkpoints")["agent"] for name in ("rare", "often")]
    for one, other in zip(*(state["parameters"].values() for state in states), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_supervised_checkpoints_by_the_clock(tmp_path: Path) -> None:
    for name, minutes in (("rare", 0.0), ("often", 1e-9)):
        config = toy(checkpoint_every_epochs=100, checkpoint_every_minutes=minutes)
        train_supervised(config, 0, tmp_path / name)
    steps = {name: checkpoint.steps(tmp_path / name / "checkpoints") for name in ("rare", "often")}
    assert steps == {"rare": [2], "often": [1, 2]}
    metrics = [json.loads((tmp_path / name / "evaluation.json").read_text())["metrics"] for name in steps]
    assert metrics[0] == metrics[1]
