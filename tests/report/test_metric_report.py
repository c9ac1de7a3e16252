"""Supervised run folders in, a table of metrics out."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtrl.report import write_report
from mtrl.report.write import read_report
from mtrl.runs.errors import UserError
from tests.report.run_folders import write_tables

KINDS = (  # two tasks, three metrics
    {"name": "accuracy", "task": "class", "higher_is_better": True, "unit": "%"},
    {"name": "error", "task": "depth", "higher_is_better": False, "unit": "m"},
    {"name": "worst", "task": "depth", "higher_is_better": False, "unit": "m"},
)
DATA = {"source": "rooms", "train": 80, "validation": None, "test": 20, "is_full": False}
PROTOCOL = {"epochs": 2, "select": "last", "mean_last_epochs": 1}


def write_run(
    out: Path,
    name: str,
    values: Sequence[float] | None,
    *,
    seed: int = 0,
    method: str = "mean",
    data: Mapping[str, Any] = DATA,
    protocol: Mapping[str, Any] = PROTOCOL,
    benchmark: Mapping[str, Any] = {"name": "rooms", "width": 8},
    published: Sequence[float] | None = None,
    evaluated: int = 2,
) -> Path:
    folder = out / name / f"seed_{seed}"
    folder.mkdir(parents=True)
    config = {"name": name, "seeds": [seed], "method": {"name": method}, "benchmark": dict(benchmark)}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    common = {"seed": seed, "device": "cpu", "hardware": "2 cores", "git_commit": None}
    lines: list[dict[str, Any]] = [{"kind": "start", "step": 0, "data": dict(data), **common}]
    names = [kind["name"] for kind in KINDS]
    for epoch in (1, 2):
        lines.append({"kind": "train", "step": epoch, "epoch": epoch, "wall_s": 60.0 * epoch, "loss": {}})
        metrics = dict.fromkeys(names, float(epoch))
        lines.append({"kind": "evaluation", "step": epoch, "epoch": epoch, "split": "test", "metrics": metrics})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if values is not None:
        evaluation = {
            "protocol": dict(protocol),
            "data": dict(data),
            "checkpoint": {"step": evaluated, "epoch": evaluated},
            "metrics": [kind | {"value": value} for kind, value in zip(KINDS, values, strict=True)],
            "published_single_task": None if published is None else dict(zip(names, published, strict=True)),
        }
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def report(
    paths: Sequence[Path], out: Path, is_drawn: bool = False
) -> tuple[str, dict[tuple[str, str], dict[str, str]], list[str]]:
    """`metrics.md`, the lines of `metrics.csv` by run and metric, and the warnings; all files if they are wanted."""
    warnings: list[str] = []
    if is_drawn:
        write_report(paths, out, warnings.append)
        assert (out / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    else:
        write_tables(read_report(paths, out, warnings.append)[1], out)
    with (out / "metrics.csv").open(newline="") as file:
        rows = {(row["run"], row["metric"]): row for row in csv.DictReader(file)}
    return (out / "metrics.md").read_text(), rows, warnings


def test_against_ones_own_single_task_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "own", (70, 1.0, 4.0), method="single_task")
    write_run(tmp_path, "own", (90, 3.0, 6.0), method="single_task", seed=1)
    for seed, accuracy in enumerate((80, 88, 72)):
        write_run(tmp_path, "nash", (accuracy, 1.0, 6.0), method="nash_mtl", seed=seed)
    write_run(tmp_path, "mean", (88, 2.0, 6.0))
    text, rows, warnings = report(
        [tmp_path / name for name in ("own", "nash", "mean")], tmp_path / "report", is_drawn=True
    )

    # Baselines 80, 2, 5. nash: 0, -1/2, +1/5; mean: -1/10, 0, +1/5.
    assert float(rows["nash", "(delta_m)"]["value"]) == pytest.approx(-10)
    assert float(rows["mean", "(delta_m)"]["value"]) == pytest.approx(10 / 3)
    assert ("own", "(delta_m)") not in rows
    # Per task first, and the other sign: nash (0 + (1/2 - 1/5) / 2) / 2, mean (1/10 - 1/10) / 2.
    assert float(rows["nash", "(delta_p)"]["value"]) == pytest.approx(7.5)
    assert float(rows["mean", "(delta_p)"]["value"]) == pytest.approx(0, abs=1e-9)
    # Among the methods: accuracy 2, 1; error 1, 2; worst a tie.
    assert float(rows["nash", "(mean rank)"]["value"]) == pytest.approx(1.5)
    assert ("own", "(mean rank)") not in rows
    low, high = (float(rows["nash", "(delta_m)"][end]) for end in ("low", "high"))
    assert low < -10 < high
    assert rows["mean", "(delta_m)"]["low"] == ""
    assert "delta_m is against the single-task models of own (mean of 2 seeds)." in text
    assert "Data: rooms, train 80, test 20. Protocol: epochs 2" in text
    assert warnings == []


def test_the_papers_baselines_hold_for_full_data_alone(tmp_path: Path) -> None:
    published = (80.0, 2.0, 5.0)
    write_run(tmp_path, "part", (88, 2.0, 5.0), published=published)
    text, rows, _ = report([tmp_path / "part"], tmp_path / "one")
    assert ("part", "(delta_m)") not in rows
    assert "No delta_m: the papers' single-task metrics hold for their full data alone, not for rooms" in text

    write_run(tmp_path, "other_net", (88, 2.0, 5.0), data=DATA | {"is_full": True})
    text, rows, _ = report([tmp_path / "other_net"], tmp_path / "two")
    assert "No delta_m: the papers' single-task metrics do not hold for this setting" in text

    write_run(tmp_path, "full", (88, 2.0, 5.0), data=DATA | {"is_full": True}, published=published)
    text, rows, _ = report([tmp_path / "full"], tmp_path / "three")
    assert float(rows["full", "(delta_m)"]["value"]) == pytest.approx(-10 / 3)
    assert "| published single task |" in text
    assert "delta_m is against the papers' single task." in text


def test_a_baseline_of_zero_gives_no_delta(tmp_path: Path) -> None:
    write_run(tmp_path, "own", (0, 1.0, 1.0), method="single_task")
    write_run(tmp_path, "mean", (1, 1.0, 1.0))
    text, rows, _ = report([tmp_path / "own", tmp_path / "mean"], tmp_path / "report")
    assert "No delta_m: a single-task metric is zero" in text
    assert ("mean", "(delta_m)") not in rows


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": DATA | {"source": "stand-in"}}, "data.source"),
        ({"protocol": PROTOCOL | {"select": "best_validation"}}, "protocol.select"),
    ],
)
def test_other_data_and_protocols_are_never_mixed(tmp_path: Path, change: dict, named: str) -> None:
    first = write_run(tmp_path, "a", (1, 1, 1))
    second = write_run(tmp_path, "b", (2, 2, 2), **change)
    _, rows, warnings = report([first, second], tmp_path / "report")
    assert {run for run, _ in rows} == {"a"}
    assert warnings == [f"{second}: its evaluation differs from that of {first} in {named}, not counted"]


def test_another_benchmark_a_damaged_run_and_one_still_going(tmp_path: Path) -> None:
    first = write_run(tmp_path, "a", (1, 1, 1))
    other = write_run(tmp_path, "b", (2, 2, 2), benchmark={"name": "rooms", "width": 16})
    half = write_run(tmp_path, "c", (2, 2, 2))
    (half / "evaluation.json").write_text('{"metrics": [')
    going = write_run(tmp_path, "d", None)
    text, rows, warnings = report([first, other, half, going], tmp_path / "report", is_drawn=True)
    assert {run for run, _ in rows} == {"a"}
    assert warnings[0] == f"left out: {other} differs from {first} in benchmark.width"
    assert warnings[1].startswith(f"left out: {half / 'evaluation.json'} cannot be read")
    assert warnings[2] == f"{going} has no evaluation: it is in the curves, not in the table"
    assert all(warning in text for warning in warnings)


def test_single_task_models_may_have_a_network_of_their_own(tmp_path: Path) -> None:
    """As the papers' of NYUv2, in whatever order runs are named; and memory decides no number."""
    shared, alone = {"name": "rooms", "network": "mtan", "cache_gib": 4.0}, {"name": "rooms", "network": "segnet"}
    runs = [
        write_run(tmp_path, "mean", (88, 2.0, 6.0), benchmark=shared),
        write_run(tmp_path, "own", (80, 2.0, 5.0), benchmark=alone, method="single_task"),
        write_run(tmp_path, "nash", (80, 1.0, 5.0), benchmark=shared | {"cache_gib": 0.0}),
    ]
    other = write_run(tmp_path, "other", (88, 2.0, 6.0), benchmark=alone)
    for order in (runs, [runs[1], runs[0], runs[2]]):
        text, rows, warnings = report([*order, other], tmp_path / "report")
        assert float(rows["mean", "(delta_m)"]["value"]) == pytest.approx(10 / 3)
        assert float(rows["nash", "(delta_m)"]["value"]) == pytest.approx(-50 / 3)
        assert "the single-task models of own (mean of 1 seed; benchmark.network segnet)." in text
        assert warnings == [f"left out: {other} differs from {runs[0]} in benchmark.network"]


def test_a_configuration_that_cannot_be_read_is_of_no_kind(tmp_path: Path) -> None:
    first, bad = write_run(tmp_path, "a", (1, 1, 1)), write_run(tmp_path, "b", (1, 1, 1))
    (bad / "config.yaml").write_text("name: [")
    _, rows, warnings = report([bad, first], tmp_path / "report")
    assert {run for run, _ in rows} == {"a"}
    assert warnings[0].startswith(f"left out: {bad / 'config.yaml'} cannot be read: ")


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_evaluation_of_another_epoch_is_pointed_out(tmp_path: Path, epoch: int) -> None:
    """As of a run that is gone on with."""
    run = write_run(tmp_path, "a", (1, 1, 1), evaluated=epoch)
    text, rows, warnings = report([run], tmp_path / "report")
    assert float(rows["a", "accuracy"]["value"]) == 1
    assert warnings == [f"{run}: its evaluation is of epoch {epoch}, and its log ends at epoch 2"]
    assert warnings[0] in text


def test_no_run_is_left(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", (1, 1, 1))
    (folder / "metrics.jsonl").write_text("")
    with pytest.raises(UserError, match="no run is left to report"):
        write_report([folder], tmp_path / "report", lambda line: None)


def test_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Of so many seeds, no two alike, that other resamples would give another interval."""
    for seed in range(7):
        write_run(tmp_path, "a", (2.0**seed, 1, 1), seed=seed)
    write_run(tmp_path, "own", (4, 1, 1), method="single_task")
    for out in ("one", "two"):
        report([tmp_path / "a", tmp_path / "own"], tmp_path / out, is_drawn=True)
    for name in sorted(path.name for path in (tmp_path / "one").iterdir()):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_metrics_of_one_kind_have_a_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CelebA's 40 errors; others, in other units, have none."""
    run = write_run(tmp_path, "mixed", [90, 0.5, 0.7])
    assert "| mean" not in report([run.parent], tmp_path / "first")[0]
    alike = [{"name": f"error_{i}", "task": f"{i}", "higher_is_better": False, "unit": "%"} for i in range(3)]
    monkeypatch.setitem(globals(), "KINDS", tuple(alike))
    run = write_run(tmp_path, "alike", [10, 20, 60])
    text = report([run.parent], tmp_path / "second")[0]
    (row,) = [line for line in text.splitlines() if line.startswith("| mean, % ↓")]
    assert row.split("|")[2].strip() == "30"
