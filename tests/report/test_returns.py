"""Reports of tasks that tell of no success: their returns, normalized where references are known; never a success."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from mtrl.report import write_report
from mtrl.report.measure import NORMALIZED, RETURN, SUCCESS
from mtrl.report.parts import read_parts
from mtrl.report.success_runs import parse_evaluation, read_measures
from mtrl.report.success_table import evaluation_rows
from mtrl.runs.event_check import check_evaluation, check_event
from mtrl.runs.events import Logged
from mtrl.runs.run_state import read_state
from tests.report.run_folders import PROTOCOL, SIMULATOR, result, start, train, write_run

TASKS = ("Hopper-v5", "Pendulum-v1")


def lines(seed: int, tasks: tuple[str, ...], *, with_references: bool) -> list[Logged]:
    """Two logged points whose returns grow with the seed, without any success."""
    found: list[Logged] = [start(seed, tasks, returns_only=list(tasks))]
    for step in (1000, 2000):
        event: Any = train(step, *(step / 4000 for _ in tasks), tasks=tasks)
        del event["success"]
        event["return"] = dict.fromkeys(tasks, step + 10.0 * seed)
        event |= {"normalized_return": dict.fromkeys(tasks, step / 4000)} if with_references else {}
        found.append(event | {"normalized_return_mean" if with_references else "return_mean": step / 4000})
    return found


def final(seed: int, tasks: tuple[str, ...], *, with_references: bool) -> dict[str, Any]:
    rows: list[dict[str, Any]]
    rows = [{"name": task, "episodes": 50, "mean_return": 2000.0 + 10 * seed + n} for n, task in enumerate(tasks)]
    if with_references:
        rows = [{**row, "normalized_return": 0.5 + 0.1 * seed} for row in rows]
    means = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0] if key not in ("name", "episodes")}
    record = {
        "protocol": PROTOCOL,
        "simulator": SIMULATOR,
        "checkpoint": {"step": 2000, "updates": 200},
        "seed": seed,
        "wall_s": 1.0,
        "versions": {"torch": "2.13.0"},
        "tasks": rows,
        "mean": means,
    }
    return check_evaluation(record)


def write_returns(out: Path, tasks: tuple[str, ...] = TASKS, *, with_references: bool, seeds: int = 3) -> None:
    for seed in range(seeds):
        logged = lines(seed, tasks, with_references=with_references)
        write_run(out, seed=seed, lines=logged, final=final(seed, tasks, with_references=with_references), steps=2000)


@pytest.mark.parametrize("with_references", [True, False])
def test_a_report_without_success(tmp_path: Path, with_references: bool) -> None:
    write_returns(tmp_path, with_references=with_references)
    report = write_report([tmp_path / "a"], tmp_path / "report", pytest.fail)
    names = {path.name for path in report.files}
    assert {"returns.md", "returns.csv", "headline.csv", "tasks.csv", "learning.csv", "curve.png"} <= names
    for path in report.files:
        assert "success" not in path.name
        if path.suffix in (".md", ".csv", ".html", ".svg"):
            assert "success" not in path.read_text().lower(), path
    (table,) = report.tables
    assert table.title.startswith("Returns, mean over seeds")
    rows = {row["task"]: row for row in csv.DictReader(io.StringIO((tmp_path / "report/returns.csv").read_text()))}
    key, value = ("normalized_return", 0.6) if with_references else ("mean_return", 2010.5)
    assert float(rows["(mean)"][key]) == pytest.approx(value)
    assert float(rows["Pendulum-v1"]["mean_return"]) == pytest.approx(2011.0)
    assert rows["(mean)"][f"{key}_low"] != ""


def test_a_mixed_run_has_both(tmp_path: Path) -> None:
    tasks = ("reach-v3", "Hopper-v5")
    logged = [start(0, tasks, returns_only=["Hopper-v5"])]
    for step in (1000, 2000):
        event: Any = train(step, 0.5, 0.5, tasks=tasks)
        event["success"] = {"reach-v3": step / 2000}
        logged.append(event | {"normalized_return": {"Hopper-v5": 0.25}})
    record = result(2000, 0, (0.75, 0.0), (0.5, 0.0), tasks=tasks)
    for name in ("success_any", "success_final"):
        del record["tasks"][1][name]
    record["tasks"][1] |= {"mean_return": 1037.0, "normalized_return": 0.25}
    folder = write_run(tmp_path, lines=logged, final=record)
    success, returns = read_measures(folder, pytest.fail)
    assert (success.outcome.measure, success.outcome.tasks) == (SUCCESS, ("reach-v3",))
    assert (returns.outcome.measure, returns.outcome.tasks) == (NORMALIZED, ("Hopper-v5",))
    assert success.outcome.training.score.tolist() == [[0.5], [1.0]]
    assert returns.outcome.training.score.tolist() == [[0.25], [0.25]]
    report = write_report([tmp_path / "a"], tmp_path / "report", lambda line: None)
    assert {"success.csv", "returns-tasks2.csv", "success.md"} <= {path.name for path in report.files}
    text = (tmp_path / "report" / "success.md").read_text()
    assert "# Success and returns" in text
    assert len([line for line in text.splitlines() if line.startswith("| a ") and "2 cores" in line]) == 1
    assert [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| Hopper-v5")] == ["0.25"]
    titles = [table.title for table in report.tables]
    assert titles == [f"{one}, mean over seeds (a: 1)" for one in ("Success (reach-v3)", "Returns (Hopper-v5)")]
    header, rows = evaluation_rows(parse_evaluation(record))
    assert header == ["task", "any-step", "final-step", "normalized return", "return", "episodes"]
    assert rows[0] == ["reach-v3", "0.75", "0.50", "–", "7.5", "50"]
    assert rows[1] == ["Hopper-v5", "–", "–", "0.25", "1037.0", "50"]
    assert rows[2][:4] == ["mean", "0.75", "0.50", "0.25"]


def test_all_runs_are_on_one_scale_and_one_that_has_just_begun_changes_none(tmp_path: Path) -> None:
    write_returns(tmp_path, with_references=True)
    write_run(tmp_path, seed=3, lines=[start(3, TASKS, returns_only=list(TASKS))], steps=2000)
    told: list[str] = []
    parts = read_parts(sorted((tmp_path / "a").iterdir()), told.append)
    assert [part.measure for part in parts] == [NORMALIZED]
    assert len(told) == 1  # no evaluation of the fourth

    logged = lines(4, TASKS, with_references=False)
    write_run(tmp_path, seed=4, lines=logged, final=final(4, TASKS, with_references=False), steps=2000)
    told.clear()
    (part,) = read_parts(sorted((tmp_path / "a").iterdir()), told.append)
    assert part.measure == RETURN
    curves = [run.outcome.training.score[:, 0].tolist() for run in part.groups[0].runs]
    assert curves == [[1000.0, 2000.0], [1010.0, 2010.0], [1020.0, 2020.0], [], [1040.0, 2040.0]]
    (line,) = [line for line in told if "no evaluation" not in line]
    assert line.endswith("seed_4 has returns that are not normalized: those of all runs are shown as they are")


def test_an_evaluation_of_shorter_episodes_takes_its_run_off_the_scale(tmp_path: Path) -> None:
    logged = lines(0, TASKS, with_references=True)
    write_run(tmp_path, lines=logged, final=final(0, TASKS, with_references=False), steps=2000)
    report = write_report([tmp_path / "a"], tmp_path / "report", pytest.fail)
    assert [table.header for table in report.tables] == [["task", "a return"]]
    assert "training return" in (tmp_path / "report" / "learning.md").read_text()


def test_returns_without_references_are_shown_as_they_are(tmp_path: Path) -> None:
    write_returns(tmp_path, ("Pendulum-v1",), with_references=False, seeds=1)
    (run,) = read_measures(tmp_path / "a" / "seed_0", pytest.fail)
    assert run.outcome.measure == RETURN
    header, rows = evaluation_rows(run.outcome.results[0])
    assert header == ["task", "return", "episodes"]
    assert rows == [["Pendulum-v1", "2000.0", "50"], ["mean", "2000.0", "50"]]


def test_where_a_run_without_success_stands(tmp_path: Path) -> None:
    for with_references, so_far, evaluated in (
        (True, "normalized return 0.50", "modern normalized return 0.50"),
        (False, "return 0.5", "modern return 2,000.5"),
    ):
        write_returns(tmp_path / str(with_references), with_references=with_references, seeds=1)
        state = read_state(tmp_path / str(with_references) / "a" / "seed_0")
        assert state.so_far == so_far
        assert state.evaluation.startswith(evaluated)


def test_what_has_neither_success_nor_returns_is_refused() -> None:
    event: Any = train(1000, 0.5, 0.5)
    for name in ("success", "return"):
        del event[name]
    with pytest.raises(ValueError, match="success is missing"):
        check_event(event)
    record = result(2000, 0, (0.5, 0.5), (0.5, 0.5))
    del record["tasks"][0]["success_final"]
    with pytest.raises(ValueError, match="success_any or success_final of one of tasks is missing"):
        check_evaluation(record)
