"""Numbers in the tables of results are those of the evaluations and logs that are committed beside them."""

import itertools
import json
import statistics
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.docs.pages import DOCS, README, ROOT

RESULTS = ROOT / "results"
QUICK, FLOAT32, LAPTOP = ("mt10-quick", "mt10-quick-float32", "mt10-laptop")
ANY, FINAL, UNSEEN = ("success_any", "success_final", "success_any_unseen")
COLUMNS = {
    "## MT10 small: `mt10/quick`": [(QUICK, ANY), (QUICK, FINAL)],
    "### The same in float32": [(FLOAT32, ANY), (QUICK, ANY), (FLOAT32, FINAL), (QUICK, FINAL)],
    "## MT10, all of it: `mt10/laptop`": [(LAPTOP, key) for key in (ANY, FINAL, UNSEEN, "success_final_unseen")],
}
"""Of the first table under each heading of docs/results.md: folder and measure."""
SUCCESS = {
    "success, any step": ANY,
    "success, any step, on goals never trained": UNSEEN,
    "success, final step": FINAL,
}
METHODS = {"mean": "mean", "Nash-MTL": "nash_mtl", "PCGrad": "pcgrad"}
REWARDS = {"scaled": "mt10-methods", "raw": "mt10-raw-rewards"}


def tables(text: str) -> list[list[list[str]]]:
    """Of each table the rows of cells, the header first."""
    parts = itertools.groupby(text.splitlines(), lambda line: line.startswith("|"))
    cells = [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] for is_in, lines in parts if is_in
    ]
    return [[rows[0], *rows[2:]] for rows in cells]


def by_task(evaluation: Mapping[str, Any], key: str) -> dict[str, float]:
    values = {task["name"]: task[key] for task in evaluation["tasks"]}
    return values | {"mean": statistics.fmean(values.values())}


@cache
def seeds_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((RESULTS / folder).glob("evaluation_seed_*.json"))]


@cache
def runs(experiment: str, method: str) -> dict[str, dict[str, Any]]:
    """The evaluation of each run of a method, by the name of its folder."""
    folders = sorted((RESULTS / experiment / "runs" / method).glob("seed_*"))
    return {folder.name: json.loads((folder / "evaluation.json").read_text()) for folder in folders}


@cache
def curves(experiment: str, method: str) -> list[tuple[list[int], list[float]]]:
    """Steps and training success of each run; of a step that was trained twice the later line."""
    found = []
    for path in sorted((RESULTS / experiment / "runs" / method).glob("seed_*/metrics.jsonl")):
        events = [json.loads(line) for line in path.read_text().splitlines() if line.startswith('{"kind": "train"')]
        points = sorted({event["step"]: event["success_mean"] for event in events}.items())
        found.append(([step for step, _ in points], [success for _, success in points]))
    return found


def shown(experiment: str, method: str, row: str) -> str | None:
    """The cell of a row of a comparison's table; None of a row that is of something else."""
    if row == "area under the curve of training success":
        areas = [np.trapezoid(values, steps) / (steps[-1] - steps[0]) for steps, values in curves(experiment, method)]
        return f"{statistics.fmean(areas):.2f}"
    if row == "steps to 0.5 in training, median":
        pairs = [zip(*curve, strict=True) for curve in curves(experiment, method)]
        return f"{statistics.median(next(step for step, value in run if value > 0.5 - 1e-9) for run in pairs):,.0f}"
    key, task = (SUCCESS[row], "mean") if row in SUCCESS else (ANY, f"{row.removesuffix(', any step')}-v3")
    found = [by_task(evaluation, key) for evaluation in runs(experiment, method).values()]
    return f"{statistics.fmean(values[task] for values in found):.2f}" if task in found[0] else None


@pytest.mark.parametrize("heading", COLUMNS)
def test_success_by_task_is_that_of_the_evaluations(heading: str) -> None:
    table = tables((DOCS / "results.md").read_text().split(f"\n{heading}\n")[1])[0]
    columns = [[by_task(evaluation, key) for evaluation in seeds_of(folder)] for folder, key in COLUMNS[heading]]
    assert [row[0] for row in table[1:]] == [*columns[0][0]]
    for task, *cells in table[1:]:
        assert cells == [f"{statistics.fmean(values[task] for values in column):.2f}" for column in columns], task


def test_the_readme_has_the_success_of_each_seed() -> None:
    rows = tables(README.read_text())[0][1:]
    records = json.loads((RESULTS / "mt10-cpu/rows.json").read_text())["records"]
    of_seeds = {
        f"`mt10/{name}": [(by_task(e, ANY)["mean"], by_task(e, FINAL)["mean"]) for e in seeds_of(folder)]
        for name, folder in (("laptop`, shipped", LAPTOP), ("quick`", QUICK), ("quick`, float32", FLOAT32))
    }
    for method in ("Nash-MTL", "PCGrad", "Mean", "MGDA"):
        values = [record["values"] for record in records if record["method"] == method]
        of_seeds[f"again {method.replace('Mean', 'mean')}"] = [(each[ANY], each[FINAL]) for each in values]
    names = [f"again {row[1]}" if "again" in row[0] or not row[0] else row[0].removesuffix(" (*)") for row in rows]
    assert {*of_seeds} <= {*names}
    for name, row in zip(names, rows, strict=True):
        if name in of_seeds:
            any_step, final = zip(*of_seeds[name], strict=True)
            cell = f"{statistics.fmean(any_step):.2f} ({', '.join(f'{value:.2f}' for value in any_step)})"
            assert row[2].partition(";")[0] == cell, name
            assert row[3] == f"{statistics.fmean(final):.2f}", name


@pytest.mark.parametrize("experiment", REWARDS.values())
def test_a_comparison_is_of_its_runs(experiment: str) -> None:
    headline, *_, made = tables((RESULTS / experiment / "README.md").read_text())
    compared = 0
    for row in headline[1:]:
        for column, cell in zip(headline[0], row, strict=True):
            rewards, _, method = column.rpartition(": ")
            if method in METHODS:
                expected = shown(REWARDS.get(rewards, experiment), METHODS[method], row[0])
                assert cell == (expected or cell), (row[0], column)
                compared += expected is not None
    assert compared >= 18
    found = {
        f"{folder.name}/{seed}": [f"{by_task(evaluation, key)['mean']:.2f}" for key in (ANY, UNSEEN)]
        for folder in (RESULTS / experiment / "runs").iterdir()
        if folder.is_dir()
        for seed, evaluation in runs(experiment, folder.name).items()
    }
    assert {row[0]: row[1:3] for row in made[1:]} == found
