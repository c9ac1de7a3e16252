"""Any `metrics.jsonl`, `evaluation.json` and `config.yaml` is read as far as it is one, or left out in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtrl.report import write_report
from mtrl.report.metric_runs import read_metric_run
from mtrl.report.success_runs import read_measures
from mtrl.runs.errors import UserError
from mtrl.runs.folder import MetricsLog
from mtrl.runs.metrics_file import read_lines
from mtrl.runs.run_state import read_state
from tests.fuzz.hostile import at_once, damaged_bytes, damaged_tree, fuzz, one_line
from tests.report import run_folders, test_metric_report
from tests.runs.small_runs import trained

Read = Callable[[Path], Any]


def agent_run(root: Path) -> Path:
    return run_folders.write_run(root, final=run_folders.result(3000, 0, (1.0, 0.5), (0.5, 0.0)))


def supervised_run(root: Path) -> Path:
    return test_metric_report.write_run(root, "s", [0.5, 1.0, 2.0])


def readers(folder: Path) -> list[Read]:
    warnings: list[str] = []
    read = read_metric_run if folder.parent.name == "s" else read_measures
    return [lambda place: read(place, warnings.append), lambda place: read_state(place, warnings.append)]


def holds_for(folder: Path, name: str, content: bytes, uses: list[Read]) -> None:
    (folder / name).write_bytes(content)
    for use in uses:
        try:
            with at_once():
                use(folder)
        except UserError as error:
            one_line(error)


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation.json", "config.yaml"])
@pytest.mark.parametrize("make", [agent_run, supervised_run])
@pytest.mark.parametrize("examples", [60, pytest.param(3_000, marks=pytest.mark.slow)])
def test_damaged_bytes(make: Read, name: str, examples: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    @fuzz(examples, examples)
    def damaged(root: Path) -> None:
        folder = make(root)
        content, uses = (folder / name).read_bytes(), readers(folder)

        @given(damaged_bytes(content))
        def holds(changed: bytes) -> None:
            holds_for(folder, name, changed, uses)

        holds()

    damaged(examples, tmp_path_factory)


@pytest.mark.parametrize("make", [agent_run, supervised_run])
@pytest.mark.parametrize("examples", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_other_values_in_a_line(make: Read, examples: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    @fuzz(examples, examples)
    def damaged(root: Path) -> None:
        folder = make(root)
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        uses = readers(folder)

        @given(st.data(), st.integers(0, len(lines) - 1))
        def holds(data: st.DataObject, at: int) -> None:
            changed = json.dumps(data.draw(damaged_tree(json.loads(lines[at]))))
            content = "\n".join([*lines[:at], changed, *lines[at + 1 :]]) + "\n"
            holds_for(folder, "metrics.jsonl", content.encode(), uses)

        holds()

    damaged(examples, tmp_path_factory)


@pytest.mark.parametrize("make", [agent_run, supervised_run])
@pytest.mark.parametrize("examples", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_other_values_in_an_evaluation(make: Read, examples: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    @fuzz(examples, examples)
    def damaged(root: Path) -> None:
        folder = make(root)
        record, uses = json.loads((folder / "evaluation.json").read_text()), readers(folder)

        @given(damaged_tree(record))
        def holds(changed: Any) -> None:
            holds_for(folder, "evaluation.json", json.dumps(changed).encode(), uses)

        holds()

    damaged(examples, tmp_path_factory)


@fuzz(30, 300)
def test_order_and_resume(root: Path) -> None:
    """Lines in any order and number: steps increase in what is read, and a run that goes on keeps it."""
    lines = (trained(root / "run") / "metrics.jsonl").read_bytes().splitlines()
    path = root / "metrics.jsonl"

    @given(st.lists(st.sampled_from(lines), max_size=12), st.integers(-1, 400))
    def holds(chosen: list[bytes], until: int) -> None:
        path.write_bytes(b"".join(line + b"\n" for line in chosen))
        read = [line.event for line in read_lines(path, lambda text: None)]
        steps = [event["step"] for event in read if event["kind"] == "train"]
        assert steps == sorted(set(steps))
        MetricsLog(path, until, lambda event: None)
        kept = [line.event for line in read_lines(path, pytest.fail)]
        assert kept == [event for event in read if event["step"] <= until]

    holds()


@pytest.mark.slow
@fuzz(1, 200)
def test_one_bad_run_takes_no_other_down(root: Path) -> None:
    good, bad = agent_run(root / "good"), agent_run(root / "bad")
    lines = (bad / "metrics.jsonl").read_text().splitlines()

    @given(st.data(), st.integers(0, len(lines) - 1))
    def holds(data: st.DataObject, at: int) -> None:
        changed = json.dumps(data.draw(damaged_tree(json.loads(lines[at]))))
        (bad / "metrics.jsonl").write_text("\n".join([*lines[:at], changed, *lines[at + 1 :]]))
        (bad / "config.yaml").write_text((good / "config.yaml").read_text().replace("name: a", "name: b"))
        report = write_report([good, bad], root / "report", lambda text: None)
        assert report.tables

    holds()
