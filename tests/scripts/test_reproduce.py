"""The papers' tables, made again: tiny versions run end to end, go on where they were, and never overstate."""

import argparse
import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrl.benchmarks import SupervisedConfig
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.cli.sweep import read
from mtrl.report.table import text_table
from mtrl.runs.events import Start
from mtrl.statistics import delta_m
from scripts.reproduce import dense, mgda_ub_speed, mt10, multimnist, qm9, supervised, sweep
from scripts.reproduce.multimnist import STUDY, equal
from scripts.reproduce.page import Claim, Reproduction, compare, machine, text, write
from scripts.reproduce.summary import main, whole
from scripts.reproduce.sweep import Runs
from tests.benchmarks.benchmark_of import benchmark_of
from tests.scripts.running import process
from tests.scripts.running import script as in_process

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "scripts" / "reproduce" / "published"
DENSE = ("nyuv2", "cityscapes2", "cityscapes3", "celeba")
SMOKE = [
    ("toy", ["toy"], 1),
    ("multimnist", ["multimnist"], 3),
    ("qm9", ["qm9"], 2),
    ("mgda_ub_speed", ["mgda_ub_speed"], 2),
    ("mt10", ["mt10-cpu"], 1),
    ("dense cityscapes2", ["cityscapes2-stand-in"], 2),
    pytest.param("dense", [f"{name}-stand-in" for name in DENSE], 7, marks=pytest.mark.slow),
]
"""Script with its words, folders of results, and how many runs there are."""


def rows_of(page: str) -> dict[str, list[str]]:
    """The cells of all tables by that of the first column; the first of those that share it."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in reversed(cells)}


@pytest.mark.parametrize(("command", "folders", "count"), SMOKE)
def test_a_tiny_version(command: str, folders: list[str], count: int, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    script, *names = command.split()
    words = *names, "--smoke", "--runs", runs, "--out", out, "--jobs", 1
    run = process if script == "toy" else in_process  # one as it is called
    done = run(f"reproduce.{script}", *words)
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in runs.rglob("*.txt"))
    assert sorted(path.name for path in out.iterdir()) == sorted(folders)
    found = [path for name in ("evaluation.json", "tasks_*.json") for path in runs.rglob(name)]
    made = {path: path.stat().st_mtime_ns for path in found}
    assert len(made) == count
    for folder in folders:
        kept = {path.name: path.read_bytes() for path in (out / folder).iterdir()}
        assert {"table.md", "table.csv", "rows.json", "commands.txt", "plot.png"} <= kept.keys()
        assert all(data[:8] == b"\x89PNG\r\n\x1a\n" for name, data in kept.items() if name.endswith(".png"))
        page = json.loads(kept["rows.json"])
        assert {f"{name}.yaml" for name in page["sweeps"]} == {name for name in kept if name.endswith(".yaml")}
        assert {*re.findall(r"sweep (\S+)\.yaml", kept["commands.txt"].decode())} == {*page["sweeps"]}
        assert page["records"]
        assert not page["missing"]
        assert not page["claims"]
        if script != "toy":  # what is made up has nothing published beside it
            text = kept["table.md"].decode()
            assert "nothing else" in text
            assert "published" not in text.lower()
            numbers = published_numbers(folder.removesuffix("-stand-in").removesuffix("-cpu"))
            assert not numbers & set(text.replace("|", " ").split())

    again = in_process(f"reproduce.{script}", *words)
    assert again.returncode == 0, again.stderr
    assert made == {path: path.stat().st_mtime_ns for path in made}  # nothing was trained again


def test_what_is_stopped_goes_on(tmp_path: Path) -> None:
    words = ["mean", "mgda", "--steps", "300000", "--jobs", "1", "--runs", tmp_path / "runs", "--out", tmp_path]
    command = [sys.executable, "-m", "scripts.reproduce.toy", *map(str, words)]
    run = tmp_path / "runs" / "toy" / "mean"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 600
        while not list(run.glob("seed_0/checkpoints/*.pt")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "2 trials are to be done. To go on: mtrl sweep " in out
    assert list(run.glob("seed_0/checkpoints/*.pt"))
    assert not list(tmp_path.glob("runs/toy/*/*/evaluation.json"))
    assert not (tmp_path / "runs" / "toy" / "mgda").exists()  # no other run was started


def test_every_published_method_is_run_and_every_run_is_valid(tmp_path: Path) -> None:
    options = argparse.Namespace(seeds=[0], threads=1, runs=tmp_path)
    studies = [qm9.STUDY, multimnist.STUDY, *(table.study for table in dense.DENSE.values())]
    for study in studies:
        assert {row["method"] for row in published(study.name)} <= {variant.label for variant in study.variants}
        assert set(study.columns) <= set(published(study.name)[0])
        variants = {variant.label: variant.changes for variant in study.variants}
        _, trials = read(sweep.write(study.name, f"supervised/{study.config}", variants, options), tmp_path)
        for label, trial in zip(variants, trials, strict=True):
            config = trial.config
            assert isinstance(config, SupervisedConfig)
            clipped = config.optimizer.max_grad_norm
            assert (clipped == 1.0) == (label == "Nash-MTL"), (study.name, label)
            metrics = {metric.name for metric in benchmark_of(config).metrics}
            assert all(metrics.issuperset(names) for names in study.columns.values())
            assert (config.gradients == "features") == (label == "MGDA-UB")
    assert {row["method"] for row in published("mt10")} <= set(mt10.VARIANTS)
    for name, budget in mt10.BUDGETS.items():
        path = sweep.write(name, budget.config, mt10.VARIANTS, options, resources={"gpus": budget.gpus})
        assert len(read(path, tmp_path)[1]) == len(mt10.VARIANTS)


@pytest.mark.parametrize(("name", "within"), [("nyuv2", 0.17), ("cityscapes2", 0.11), ("qm9", 0.6)])
def test_published_rows_give_their_published_delta_m(name: str, within: float) -> None:
    rows = {row["method"]: row for row in published(name)}
    metrics = [key for key in rows["STL"] if key not in ("method", "mean rank", "delta_m %", "source")]
    higher = [metric in ("mIoU", "pixel accuracy") or metric.startswith("<") for metric in metrics]
    base = [float(rows["STL"][metric]) for metric in metrics]
    for method, row in rows.items():
        if method != "STL":
            found = delta_m([float(row[metric]) for metric in metrics], base, higher)
            assert abs(found - float(row["delta_m %"])) < within * (1 if name != "qm9" else 2), method


def test_verdicts() -> None:
    assert compare([3, 4], [1, 2]) == "holds"
    assert compare([3, 4], [1, 3.2]) == "holds on average, within the spread of the seeds"
    assert compare([1, 2], [3, 4]) == "does not hold"
    assert compare([1, 2], [3, 4], higher=False) == "holds"
    assert compare([1, 3.2], [3, 4]) == "does not hold on average, within the spread of the seeds"
    assert compare([1, 1], [1, 1]).startswith("does not hold on average")
    assert "one seed" in compare([3], [1, 2])
    assert compare([], [1]) == "not run"


@pytest.mark.parametrize(
    ("single", "shared", "verdict"),
    [
        ([97.0, 96.8], [96.9, 97.1], "holds"),
        ([97.0, 96.8], [96.1, 96.3], "does not hold"),
        ([97.0], [96.1], "not to be said of one seed"),
        ([], [96.1, 96.3], "not run"),
    ],
)
def test_as_accurate_means_that_no_seeds_are_apart(single: list[float], shared: list[float], verdict: str) -> None:
    assert equal({"Single task": single, "MGDA-UB": shared}, str).verdict == verdict


def test_an_evaluation_of_another_run_is_not_in_the_table(tmp_path: Path) -> None:
    options = argparse.Namespace(seeds=[0, 1], runs=tmp_path)
    for seed in options.seeds:
        folder = supervised.run_folder(STUDY, options, supervised.NASH, seed)
        folder.mkdir(parents=True)
        (folder / "evaluation.json").write_text('{"metrics": []}')
    found = supervised.results(STUDY, options, ("nash-mtl/seed_0",))
    assert [(result.label, result.seed) for result in found] == [("Nash-MTL", 1)]


def test_a_page_says_where_its_runs_were_made_and_not_where_it_was_written() -> None:
    def start(day: int, threads: int, commit: str | None) -> Start:
        versions = {"torch": "2.9", "mujoco": "3.3"}
        time = f"2026-11-{day}T10:00:00+00:00"
        return {
            "kind": "start",
            "hardware": "2 cores of A",
            "threads": threads,
            "versions": versions,
            "time": time,
            "git_commit": commit,
        }

    starts = [start(24, 1, "0123456789ab+changes"), start(22, 2, "abcdef012345"), start(23, 1, None)]
    line = machine(starts, ["mujoco", "metaworld"])
    assert line.startswith(
        "2 cores of A, 1 thread and 2 threads, torch 2.9, mujoco 3.3; "
        "2026-11-22 to 2026-11-24, commit 0123456+changes and abcdef0; `python "
    )
    assert machine(starts[1:2]).startswith("2 cores of A, 2 threads, torch 2.9; 2026-11-22, commit abcdef0; `python ")


def test_published_numbers_stand_beside_the_same_size_only(tmp_path: Path) -> None:
    options = argparse.Namespace(smoke=False, seeds=[0], threads=1)

    def page(epochs: int, is_full: bool, source: str) -> str:
        kinds: list[dict[str, Any]]
        kinds = [{"name": m, "value": 96.5, "higher_is_better": True} for m in STUDY.columns["top left"]]
        kinds += [{"name": m, "value": 95.0, "higher_is_better": True} for m in STUDY.columns["bottom right"]]
        evaluation = {
            "data": {"source": source, "is_full": is_full, "train": 60_000, "test": 10_000},
            "protocol": {"epochs": epochs},
            "metrics": kinds,
            "wall_s": 60.0,
        }
        values = {kind["name"]: kind["value"] for kind in kinds}
        found = [supervised.Result("MGDA-UB", 0, values, evaluation)]
        return text(supervised.make_page(STUDY, found, [], [], options, None))

    same = page(100, True, "pairs of MNIST")
    assert same.count("97.26") == 1
    assert "| – published" in same
    shorter = page(10, True, "pairs of MNIST")
    assert "| – published" not in shorter
    assert "not to be compared number by number" in shorter
    assert "10 epochs here, 100 published" in shorter
    for source in ("pairs of scikit-learn's bundled digits (not MNIST)", "stand-in for MNIST"):
        assert "97.26" not in page(100, False, source)


def result(label: str, seed: int, error: float, metrics: Iterable[str], higher: bool = False) -> supervised.Result:
    """Of a whole run, the same in all metrics."""
    values = dict.fromkeys(metrics, error)
    kinds = [{"name": name, "value": error, "higher_is_better": higher} for name in values]
    data = {"source": "pairs of MNIST", "is_full": True}
    evaluation = {"data": data, "protocol": {"epochs": 100}, "metrics": kinds, "wall_s": 60.0}
    return supervised.Result(label, seed, values, evaluation)


def test_the_grid_search_is_the_weight_that_is_best_on_held_out_pairs(tmp_path: Path) -> None:
    grid = {weight: supervised.method(f"weights {weight}", "mean") for weight in (0.2, 0.5, 0.8)}
    accuracy = {"weights 0.2": 92.0, "weights 0.5": 97.0, "weights 0.8": 94.0, "MGDA-UB": 96.0}
    held_out = {"weights 0.2": 91.0, "weights 0.5": 92.0, "weights 0.8": 93.0}
    found = [result(label, seed, x, multimnist.METRICS, True) for label, x in accuracy.items() for seed in (0, 1)]
    options = argparse.Namespace(smoke=False, seeds=[0, 1], out=tmp_path, data=None)
    multimnist.write(STUDY, found, grid, held_out, [], options)
    shown = rows_of((tmp_path / "multimnist/table.md").read_text())
    assert shown[multimnist.BEST] == shown["weights 0.8"]
    claim = f"MGDA-UB is more accurate than {multimnist.BEST} (mean of both digits)"
    assert shown[claim] == ["holds", f"MGDA-UB 96.00, {multimnist.BEST} 94.00"]


def test_the_claims_of_qm9_are_of_errors_against_the_mean_single_task_network() -> None:
    errors = {"STL": (1.0, 3.0), "LS": (2.9, 3.1), "Nash-MTL": (2.2, 2.4)}
    metrics = [f"{task}_mae" for task in qm9.TASKS]
    found = [result(label, seed, x, metrics) for label, of in errors.items() for seed, x in enumerate(of)]
    made = {claim.text: (claim.verdict, claim.evidence) for claim in qm9.claims(qm9.STUDY, found)}
    assert made["Nash-MTL has a lower delta_m than LS"] == ("holds", "Nash-MTL +15.0, LS +50.0")
    assert made["SI has a lower delta_m than LS"] == ("not run", "LS +50.0")
    assert made["Nash-MTL has the best mean rank"] == ("holds", "Nash-MTL 1.00")
    (worse,) = [claim for text, claim in made.items() if text.startswith("Every method is worse")]
    assert worse == ("holds", "+15.0 to +50.0")


@pytest.mark.parametrize(
    ("name", "verdict"), [("nyuv2", "holds"), ("celeba", "holds"), ("cityscapes3", "does not hold")]
)
def test_the_claims_of_dense_prediction_are_of_errors_or_of_accuracy(name: str, verdict: str) -> None:
    """The paper's method has the smaller values, which of mIoU are the worse ones."""
    study = dense.DENSE[name].study
    metrics = {metric for names in study.columns.values() for metric in names}
    values = {
        study.baseline: (10.0, 10.1),
        study.variants[1].label: (9.0, 9.1),
        "MGDA-UB": (8.0, 8.1),
        "Nash-MTL": (8.0, 8.1),
    }
    found = [result(label, seed, x, metrics) for label, of in values.items() for seed, x in enumerate(of)]
    verdicts = [claim.verdict for claim in dense.claims(study, found) if study.variants[1].label in claim.text]
    assert verdicts == [verdict]


def test_a_whole_page_of_mgda_ub_has_the_published_hours_and_both_claims() -> None:
    seconds = {3: (1.0, 1.0, 1.7), 40: (1.0, 1.0, 20.0)}
    rows = [
        {"tasks": tasks, "variant": variant, "median_s": s, "seconds": [s]}
        for tasks, times in seconds.items()
        for variant, s in zip(mgda_ub_speed.SHOWN, times, strict=True)
    ]
    measured = [{"width": 64, "batch": 8, "machine": "m", "rows": rows}]
    shown = rows_of(text(mgda_ub_speed.make_page(measured, rows, [], (), smoke=False)))
    assert shown["CelebA, forty tasks"] == ["40", "429.9", "16.1", "26.7"]
    assert shown["MGDA-UB takes 40% less time with 3 tasks"] == ["holds", "41% less"]
    assert shown["MGDA-UB is 25 times as fast with 40 tasks"] == ["does not hold", "20.0 times as fast"]


def test_a_whole_page_of_mt10_has_the_published_times_and_claims() -> None:
    def result(label: str, seed: int, success: float, ms: float) -> mt10.Result:
        mean = {"success_any": success, "success_final": success / 2}
        checkpoint = {"step": 1000, "updates": 100}
        tasks = [{"name": name, "success_any": x} for name, x in (("reach-v3", 1.0), ("push-v3", 2 * success - 1))]
        return mt10.Result(label, seed, {"mean": mean, "checkpoint": checkpoint, "tasks": tasks}, ms, 1.0)

    success = {"Mean": (0.5, 0.6, 0.7), "PCGrad": (0.4, 0.5, 0.3), "Nash-MTL": (0.8, 0.9, 0.85)}
    found = [
        result(label, seed, of_seed, 10.0 if label == "Mean" else 12.0)
        for label, of_seeds in success.items()
        for seed, of_seed in enumerate(of_seeds)
    ]
    options = argparse.Namespace(smoke=False, seeds=[0, 1, 2], jobs=4, threads=1, budget="cpu")
    page = mt10.make_page(found, success, Runs("mt10", 0, "", "", ()), options, mt10.BUDGETS["cpu"])
    assert [*page.tables[1].header] == ["method", "reach", "push"]
    assert ["Nash-MTL", "1.00", "0.70"] in [[*row] for row in page.tables[1].rows]
    rows = rows_of(text(page))
    assert rows["PCGrad"][1:] == ["0.40 0.50 0.30", "0.20", "12.0", "1.20", "9.7 (1.33)"]
    assert rows["Nash-MTL succeeds more often than PCGrad"] == ["holds", "Nash-MTL 0.85, PCGrad 0.40"]
    assert rows["Nash-MTL succeeds more often than CARE"][0] == "not run"
    assert rows["PCGrad costs 1.33 times plain training"] == ["holds, within a factor of 1.25", "1.20 times, 12.0 ms"]
    assert rows["Nash-MTL costs 5.58 times plain training"] == ["does not hold", "1.20 times, 12.0 ms"]


def test_the_summary_has_every_page(tmp_path: Path) -> None:
    table = text_table("", ("method", "error"), (("A", "1.0"),))
    for name in ("first", "second"):
        verdicts = ("holds", "does not hold", "holds on average, within the spread of the seeds", "not run")
        claims = tuple(Claim("A is best", verdict) for verdict in (*verdicts, "not to be said of one seed"))
        write(Reproduction(f"The {name}", "Made so.", (table,), claims, ("Size.",), (), (), "m"), tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "README.md").write_text("# Something else\n\nText.\n")
    (tmp_path / "alone.md").write_text("# A file\n")
    main(["--results", str(tmp_path)])
    text = (tmp_path / "README.md").read_text()
    assert text.index("## The first") < text.index("](first/plot.png)") < text.index("## The second")
    assert text.count("does not hold") == 2
    assert rows_of(text)["[The first](first/table.md)"] == ["5", "1", "1", "1", "2"]
    assert "[`other`](other)" in text
    assert "[`first`](first)" not in text
    assert text.endswith("\n- [A file](alone.md)\n- [`other`](other)\n- [Something else](told)\n")


def test_the_page_of_results_is_of_what_is_there() -> None:
    assert (ROOT / "results/README.md").read_text() == whole(ROOT / "results"), "python -m scripts.reproduce.summary"


def test_a_part_of_the_molecules_is_a_valid_folder(tmp_path: Path) -> None:
    qm9.make_up(tmp_path / "all", 50)
    qm9.thin(tmp_path / "all", tmp_path / "few", 20)
    everything, few = read_folder(tmp_path / "all"), read_folder(tmp_path / "few")
    assert (len(everything.targets), len(few.targets)) == (50, 20)
    kept = [number * 50 // 20 for number in range(20)]
    np.testing.assert_array_equal(few.targets, everything.targets[kept])


@pytest.mark.parametrize(
    ("script", "words", "why"),
    [
        ("toy", ["nash"], "unknown method 'nash'"),
        ("qm9", [], "--data needs QM9's folder"),
        ("mt10", ["--seeds", "0", "0"], "--seeds need to differ, got 0 0"),
        ("dense", ["--data", "."], "--data needs one NAME"),
    ],
)
def test_mistakes_are_said(script: str, words: list[str], why: str, tmp_path: Path) -> None:
    done = in_process(f"reproduce.{script}", *words, "--runs", tmp_path, "--out", tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert not list(tmp_path.iterdir())


def published(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def published_numbers(name: str) -> set[str]:
    """Those of a table that no number of ours has by chance."""
    cells = {cell for row in published(name) for key, cell in row.items() if key not in ("method", "source")}
    return {cell for cell in cells if len(cell.replace(".", "")) >= 4}
