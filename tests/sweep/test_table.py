"""The live table: what each trial has reached, in the words of its own kind of task."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.sweep_table import SweepTable
from mtrl.runs.claim import claimed
from mtrl.sweep import Ended, How, Trial
from tests.runs.small_runs import TOY, small

PER_TASK = {"success": {"a": 0.5}, "return": {"a": 1.0}}


def shown(trial: Trial, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The table of one trial that runs, once its seeds have logged a line each, after 80 seconds, and 50 later."""
    now = 1000.0
    monkeypatch.setattr("mtrl.cli.sweep_table.time.monotonic", lambda: now)
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    table = SweepTable(console, "s", [trial], 0, 0)
    table.begun(trial)
    now += 600  # that it waits in a queue
    for folder in trial.folders.values():
        with claimed(folder):
            pass
    table.look()
    now += 80
    for folder, line in zip(trial.folders.values(), lines, strict=True):
        (folder / "metrics.jsonl").write_text(json.dumps({"kind": "train", **line}) + "\n")
    for _ in range(2):
        table.look()
        now += 50
    with console.capture() as capture:
        console.print(table._shown())
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("means", "told"),
    [
        ([{"success_mean": 0.5}], "success 0.50"),
        ([{"success_mean": 0.5}, {"success_mean": 0.7}], "success 0.60"),
        ([{"success_mean": None}], "–"),
        ([{"success_mean": 0.5, "return_mean": -1234.5}], "success 0.50, return -1,234.5"),
        ([{"normalized_return_mean": 0.25}], "normalized return 0.25"),
        ([{"return_mean": -1234.5}], "return -1,234.5"),
    ],
)
def test_success_and_returns(
    means: list[dict[str, Any]], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(small(out=str(tmp_path), seeds=tuple(range(len(means)))))
    *title, header, row = shown(trial, [{"step": 80, **one} for one in means], monkeypatch)
    told_of_all = f"{60 * len(means)} steps/min; 4:00 left"  # 80 of 320 steps in 80 s, of each seed
    assert " ".join(" ".join(title).split()) == f"s: 0 waiting, 1 running, 0 done, 0 failed; {told_of_all}"
    assert header.split() == ["running", "share", "so", "far"]
    assert row.strip().split(maxsplit=2) == [trial.key, "25%", told]


def test_a_supervised_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(SupervisedConfig.model_validate(TOY | {"out": str(tmp_path), "name": "toy"}))
    *_, row = shown(trial, [{"epoch": 1, "loss": {"a": 0.5, "b": 1.0}}], monkeypatch)
    assert row.strip().split(maxsplit=2) == ["toy/seed_0", "50%", "loss 0.75"]


def test_what_is_left_of_a_run_that_goes_on_from_an_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log had come to step 240, its checkpoint to 160; the last of two trials then runs alone."""
    now = 0.0
    monkeypatch.setattr("mtrl.cli.sweep_table.time.monotonic", lambda: now)
    one, other = (Trial(small(out=str(tmp_path), name=name, seeds=(0,))) for name in ("one", "other"))

    def logs(trial: Trial, step: int) -> None:
        (folder,) = trial.folders.values()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.jsonl").write_text(json.dumps({"kind": "train", "step": step}) + "\n")

    logs(one, 240)
    table = SweepTable(Console(file=io.StringIO()), "s", [one, other], 0, 0)
    for trial in (one, other):
        table.begun(trial)
        (folder,) = trial.folders.values()
        with claimed(folder):
            pass
    now += 2
    logs(one, 160)
    table.look()
    assert "left" not in table.summary()
    now += 40
    logs(one, 240)  # 80 steps in 40 s
    logs(other, 80)
    table.look()
    assert table.summary().endswith("; 240 steps/min; 1:20 left")  # 80 of one and 240 of the other
    now += 40
    table.ended(one, Ended(How.FINISHED), again=False)
    assert table.summary().endswith("; 120 steps/min; 2:00 left")  # 240 in 120 s, of one trial
