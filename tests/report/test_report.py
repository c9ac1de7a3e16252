"""Run folders in, table and curves out; damaged folders give a line each and the rest is still made."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtrl.report import write_report
from mtrl.report.contents import PAGE, Contents
from mtrl.report.curves import learning_plots, line, on_one_grid
from mtrl.report.parts import Part, read_parts
from mtrl.report.success_plots import _profile
from mtrl.report.success_runs import read_measures
from mtrl.report.write import read_report
from mtrl.runs.errors import UserError
from mtrl.runs.reading import find_runs, seed_folder
from tests.report.run_folders import (
    PROTOCOL,
    SIMULATOR,
    TASKS,
    evaluation,
    read_csv,
    result,
    start,
    train,
    write_run,
    write_tables,
)


def report(paths: list[Path], out: Path, is_drawn: bool = False) -> tuple[str, list[dict[str, str]], list[str]]:
    """`success.md`, the lines of `success.csv`, and the warnings; the page and the plots only if they are wanted."""
    warnings: list[str] = []
    if is_drawn:
        write_report(paths, out, warnings.append)
    else:
        write_tables(read_report(paths, out, warnings.append)[1], out)
    rows = read_csv(out / "success.csv") if (out / "success.csv").exists() else []
    return (out / "success.md").read_text(), rows, warnings


def parts(paths: list[Path], warnings: list[str]) -> tuple[Part, ...]:
    return read_parts(find_runs(paths), warnings.append)


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_table_of_three_seeds(tmp_path: Path) -> None:
    any_step = [(1.0, 0.0), (0.8, 0.1), (0.9, 0.5)]
    final_step = [(0.4, 0.0), (0.5, 0.1), (0.6, 0.2)]
    for seed in range(3):
        write_run(tmp_path, seed=seed, final=result(3000, seed, any_step[seed], final_step[seed]))
    text, rows, warnings = report([tmp_path / "a"], tmp_path / "report")

    by_task = {row["task"]: row for row in rows}
    assert [row["task"] for row in rows] == [*TASKS, "(mean)", "(iqm)"]
    assert {row["run"] for row in rows} == {"a"}
    assert {row["seeds"] for row in rows} == {"3"}
    assert float(by_task["reach-v3"]["success_any"]) == pytest.approx(0.9)
    assert float(by_task["reach-v3"]["success_final"]) == pytest.approx(0.5)
    assert float(by_task["push-v3"]["success_any"]) == pytest.approx(0.2)
    assert float(by_task["reach-v3"]["mean_return"]) == pytest.approx(9.0)
    assert by_task["reach-v3"]["episodes"] == "50"
    mean = by_task["(mean)"]
    assert float(mean["success_any"]) == pytest.approx(0.55)
    assert 0.4 < float(mean["success_any_low"]) < 0.55 < float(mean["success_any_high"]) < 0.7
    # Sorted 0 .1 .5 .8 .9 1: one cut from each end, (.1 + .5 + .8 + .9) / 4.
    assert float(by_task["(iqm)"]["success_any"]) == pytest.approx(0.575)

    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["task", "a any-step", "a final-step"]
    assert ["reach-v3", "0.90", "0.50"] in cells
    assert ["mean", "0.55", "0.30"] in cells
    assert ["IQM", "0.57", "0.30"] in cells  # 0.575 is a little less in binary
    assert "Protocol modern: 50 episodes per task, horizon 500; policy: deterministic, the last checkpoint" in text
    assert cells[-1][-3:] == ["0123456789+changes", "cpu", "2 cores"]
    assert {run["minutes"] for run in read_csv(tmp_path / "report" / "runs.csv")} == {"0.5"}
    assert "Simulator metaworld (metaworld 3.1.1, mujoco 3.3.0)" in text
    of_tasks = {row["task"]: float(row["a"]) for row in read_csv(tmp_path / "report" / "tasks_final_step.csv")}
    assert of_tasks == pytest.approx({"reach-v3": 0.5, "push-v3": 0.1, "mean": 0.3})
    (headline,) = read_csv(tmp_path / "report" / "headline.csv")
    assert [float(headline[name]) for name in ("iqm", "final_iqm")] == pytest.approx([0.575, 0.3])
    assert float(headline["final_iqm_high"]) < 0.5
    assert warnings == []


def test_who_learned_faster(tmp_path: Path) -> None:
    quick, slow = (0.5, 0.7, 0.9), (0.3, 0.5, 0.7)
    rates: dict[str, dict[int, tuple[float, ...]]] = {"a": {0: quick, 1: quick, 2: slow, 3: slow}}
    rates["b"] = dict.fromkeys(range(3), (0.2, 0.4))
    for name, of_seeds in rates.items():
        for seed, values in of_seeds.items():
            lines = [start(seed), *(train(1000 * k, rate, rate) for k, rate in enumerate(values, 1))]
            write_run(tmp_path, name, seed, lines=lines, final=result(3000, seed, (0.5, 0.5), (0, 0)))
    report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    # Up to step 2000, where b ends. Two of a's seeds come to 0.7 by then, two to 0.5 alone.
    a, b = read_csv(tmp_path / "report" / "learning.csv")
    areas = [float(row[f"area{end}"]) for row in (a, b) for end in ("_low", "", "_high")]
    assert areas == pytest.approx([0.4, 0.5, 0.6, 0.3, 0.3, 0.3])
    assert [a[f"{what}_{level}"] for level in (0.5, 0.8, 0.9) for what in ("steps_to", "reached")] == [
        *("1500", "4 of 4", "", "0 of 4", "", "0 of 4"),
    ]
    assert (b["steps_to_0.5"], b["reached_0.5"]) == ("", "0 of 3")


def test_an_evaluation_without_the_success_that_training_had_is_left_out(tmp_path: Path) -> None:
    """Of an environment that tells of it late: whether it does was found otherwise that time."""
    for seed in range(2):
        run = write_run(tmp_path, seed=seed, final=result(3000, seed, (0.5, 1.0), (0.5, 1.0)))
    record = json.loads((run / "evaluation.json").read_text())
    for name in ("success_any", "success_final"):
        del record["tasks"][0][name]
        record["mean"].pop(name, None)
    (run / "evaluation.json").write_text(json.dumps(record))
    _, rows, warnings = report([tmp_path / "a"], tmp_path / "report")
    assert f"{run}: its evaluation has no success of tasks that told of it in training: left out" in warnings
    assert {row["seeds"] for row in rows} == {"1"}


def test_half_of_the_seeds_is_no_median(tmp_path: Path) -> None:
    for seed, rate in enumerate((0.9, 0.9, 0.7, 0.7)):
        lines = [start(seed), train(1000, 0.2, 0.2), train(2000, rate, rate)]
        write_run(tmp_path, seed=seed, lines=lines, final=result(2000, seed, (0.5, 0.5), (0, 0)))
    report([tmp_path / "a"], tmp_path / "report")
    (a,) = read_csv(tmp_path / "report" / "learning.csv")
    assert [(a[f"steps_to_{level}"], a[f"reached_{level}"]) for level in (0.5, 0.8)] == [
        ("2000", "4 of 4"),
        ("", "2 of 4"),
    ]


def test_how_often_one_logs_does_not_make_an_area(tmp_path: Path) -> None:
    """Success rises evenly from 0 to 1 at 10,000 steps; b's first line is its fifth."""
    for name, first in (("a", 1), ("b", 5)):
        lines = [start(0), *(train(1000 * k, k / 10, k / 10) for k in range(first, 11))]
        write_run(tmp_path, name, lines=lines, final=result(10_000, 0, (1, 1), (1, 1)))
    report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert [float(row["area"]) for row in read_csv(tmp_path / "report" / "learning.csv")] == pytest.approx([0.75, 0.75])
    assert "from step 5,000 on" in (tmp_path / "report" / "learning.md").read_text()


def test_seeds_that_have_not_got_there_are_not_those_that_failed(tmp_path: Path) -> None:
    for seed in range(3):
        lines = [start(seed), *(train(1000 * k, 0.3 * k, 0.3 * k) for k in range(1, 3 if seed == 2 else 4))]
        write_run(tmp_path, seed=seed, lines=lines, final=None if seed == 2 else result(3000, seed, (1, 1), (1, 1)))
    report([tmp_path / "a"], tmp_path / "report")
    (a,) = read_csv(tmp_path / "report" / "learning.csv")
    assert (a["seeds"], a["steps_to_0.9"], a["reached_0.9"]) == ("2", "3000", "2 of 2")


def test_settings_of_every_seed_are_in_the_table_of_those_that_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for seed in range(3):
            rate = 0.1 if (name, seed) == ("a", 2) else 0.5
            write_run(tmp_path, name, seed, final=result(3000, seed, (1, 1), (1, 1)), lr=rate)
    report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert read_csv(tmp_path / "report" / "config.csv") == [{"setting": "lr", "a": "0.5; 0.1", "b": "0.5"}]


def test_unseen_goals_have_a_column_where_every_seed_was_played_on_them(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, seed=seed, final=result(3000, seed, (1, 0.5), (1, 0.5), unseen=(0.9, 0.3)))
        some = (0.9, 0.3) if seed else ()  # an evaluation that is older
        write_run(tmp_path, "b", seed, final=result(3000, seed, (1, 0.5), (1, 0.5), unseen=some))
    text, rows, warnings = report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert warnings == []
    header, *cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    own = ["a any-step", "a final-step", "a any-step, unseen goals"]
    assert header == ["task", *own, "b any-step", "b final-step"]
    assert ["push-v3", "0.50", "0.50", "0.30", "0.50", "0.50"] in cells
    assert ["mean", "0.75", "0.75", "0.60", "0.75", "0.75"] in cells
    assert "Unseen goals: as many episodes, on goals that training never saw." in text
    assert "b: only 2 of 3 seeds were played on unseen goals." in text
    unseen = {(row["run"], row["task"]): row["success_any_unseen"] for row in rows}
    assert float(unseen["a", "(mean)"]) == pytest.approx(0.6)
    assert unseen["b", "(mean)"] == ""
    means = {row["run"]: row["unseen_mean"] for row in read_csv(tmp_path / "report" / "headline.csv")}
    assert float(means["a"]) == pytest.approx(0.6)
    assert means["b"] == ""


def test_one_seed_has_no_interval_and_says_why(tmp_path: Path) -> None:
    write_run(tmp_path, final=result(3000, 0, (1.0, 0.5), (0.5, 0.5)))
    text, rows, _ = report([tmp_path / "a"], tmp_path / "report", is_drawn=True)
    assert "a: 1 seed, so no interval; at least 3 seeds" in text
    assert "95% interval of the mean" not in text
    assert [row["task"] for row in rows] == [*TASKS, "(mean)", "(iqm)"]
    assert rows[-1]["success_any_low"] == ""
    assert "a: 1 seed, so no interval" in (tmp_path / "report" / "index.html").read_text()


def test_intervals_draw_seeds_with_all_their_tasks(tmp_path: Path) -> None:
    """Every seed's mean is one half, as good at one task as it is bad at the other: of the mean there is no doubt."""
    for name in ("a", "b"):
        for seed, one in enumerate((0.1, 0.3, 0.7, 0.9)):
            scores = (one, 1 - one)
            lines = [start(seed), train(1000, *scores), train(2000, *scores)]
            write_run(tmp_path, name, seed, lines=lines, final=result(2000, seed, scores, scores))
    paths = [tmp_path / "a", tmp_path / "b"]
    text, rows, _ = report(paths, tmp_path / "report")
    assert "| 95% interval of the mean | 0.50 to 0.50 |" in " ".join(text.split())
    mean = next(row for row in rows if row["task"] == "(mean)")
    assert mean["success_any_low"] == mean["success_any_high"] == "0.5"
    (headline, *_) = read_csv(tmp_path / "report" / "headline.csv")
    assert headline["mean_low"] == headline["mean_high"] == "0.5"
    assert headline["iqm_stratified_low"] != headline["iqm_low"]
    (pair,) = read_csv(tmp_path / "report" / "pairs.csv")
    assert pair["improvement_low"] == pair["improvement_high"] == pair["improvement"]
    (part,) = parts(paths, [])
    (division,) = part.divisions
    curve = line(*on_one_grid([(np.arange(2.0), run.outcome.training.score) for run in part.groups[0].runs]))
    profile = _profile(division.scores[0].score)
    for band, at in ((curve.band, 0), (profile.band, profile.x.searchsorted(0.5))):
        assert band is not None
        assert band.low[at] == pytest.approx(band.high[at])


def test_groups_with_as_few_seeds_share_a_line(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("b", 1), ("c", 0)):
        write_run(tmp_path, name, seed, final=result(3000, seed, (1.0, 0.5), (0.5, 0.5)))
    text, _, _ = report([tmp_path / name for name in "abc"], tmp_path / "report")
    lines = [line for line in text.splitlines() if "so no interval" in line]
    assert [line.partition(", so")[0] for line in lines] == ["a, c: 1 seed each", "b: 2 seeds"]


def test_groups_are_columns_in_the_order_given(tmp_path: Path) -> None:
    for name, value in [("b", 0.2), ("a", 0.6)]:
        write_run(tmp_path, name, final=result(3000, 0, (value, value), (value, value)))
    text, rows, _ = report([tmp_path / "b" / "seed_0", tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert "b any-step | b final-step | a any-step | a final-step" in " ".join(text.split())
    assert [row["run"] for row in rows] == ["b"] * 4 + ["a"] * 4


def test_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Of so many seeds, no two alike, that other resamples would give other intervals."""
    for seed in range(5):
        lines = [start(seed), *(train(1000 * k, 0.1 * k, 0.02 * seed**2) for k in range(1, 4))]
        final = result(3000, seed, (seed / 4, seed**2 / 16), (0.0, 0.5))
        write_run(tmp_path, seed=seed, lines=lines, final=final)
    for out in ("one", "two"):
        report([tmp_path / "a"], tmp_path / out, is_drawn=True)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"index.html", "curve.svg", "curve_per_task.png", "headline.csv", "runs.md"} <= {*names}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_curves_are_drawn(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, seed=seed, final=result(3000, seed, (1, 0), (1, 0))) for seed in range(2)]
    other = [start(0), train(1500, 0.1, 0.2), evaluation(1500, 0.4, 0.6)]
    runs.append(write_run(tmp_path, "b", lines=other))
    report(runs, tmp_path / "report", is_drawn=True)
    width, height = png_size(tmp_path / "report" / "curve.png")
    assert width > 800
    assert height > 300
    assert png_size(tmp_path / "report" / "curve_per_task.png")[0] > 800


def test_run_without_any_line_of_training_is_reported(tmp_path: Path) -> None:
    write_run(tmp_path, lines=[start(0)])
    text, rows, warnings = report([tmp_path / "a"], tmp_path / "report", is_drawn=True)
    assert "No run has an evaluation yet" in text
    assert rows == []
    folder = tmp_path / "a" / "seed_0"
    assert warnings == [f"{folder} has no evaluation: it is in the curves, not in the table"]


def test_mean_curve_interpolates_and_spans_what_all_seeds_reached() -> None:
    one = np.array([0.0, 10, 20, 30]), np.array([[np.nan], [0.2], [0.4], [0.6]])
    two = np.array([15.0, 25]), np.array([[0.5], [0.7]])
    steps, success = on_one_grid([one, two])
    np.testing.assert_array_equal(steps, [15, 20, 25])
    np.testing.assert_allclose(success[:, :, 0], [(0.3, 0.5), (0.4, 0.6), (0.5, 0.7)])


def test_a_seed_that_has_just_begun_is_not_in_the_mean_curve() -> None:
    begun = np.array([1.0]), np.array([[np.nan]])
    steps, success = on_one_grid([(np.array([1.0, 2.0]), np.array([[0.5], [0.7]])), begun])
    np.testing.assert_array_equal(steps, [1, 2])
    np.testing.assert_array_equal(success, [[[0.5]], [[0.7]]])
    steps, success = on_one_grid([begun])
    assert len(steps) == len(success) == 0


def test_long_curves_are_thinned_out() -> None:
    x = np.arange(1000.0)
    steps, success = on_one_grid([(x, (x / 999)[:, None])])
    assert 50 < len(steps) < 100
    assert (steps[0], steps[-1]) == (0, 999)
    np.testing.assert_allclose(success[:, 0, 0], steps / 999)


def test_curve_of_a_run(tmp_path: Path) -> None:
    lines = [start(0), train(1000, None, 0.5), evaluation(1000, 0.25, 0.75), train(2000, 0.5, 1.0)]
    run = read_measures(write_run(tmp_path, lines=lines), pytest.fail)[0]
    np.testing.assert_array_equal(run.outcome.training.steps, [1000, 2000])
    np.testing.assert_array_equal(run.outcome.training.score, [[np.nan, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(run.outcome.evaluations.score, [[0.25, 0.75]])
    assert (run.done, run.outcome.updates, run.wall_s, run.outcome.horizon, run.seed) == (2000, 200, 20.0, 200, 0)


def test_truncated_last_line_is_dropped_with_a_warning(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    metrics = folder / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-40])
    warnings: list[str] = []
    run = read_measures(folder, warnings.append)[0]
    assert run.done == 2000
    reason = "not JSON, or cut short (Expecting ':' delimiter at column 265)"
    assert warnings == [f"{metrics}: line 4 is left out: {reason}"]


def test_a_damaged_run_is_left_out_and_the_rest_is_made(tmp_path: Path) -> None:
    good = write_run(tmp_path, "good", final=result(3000, 0, (1, 1), (1, 1)))
    empty = write_run(tmp_path, "empty", lines=[])
    no_metrics = write_run(tmp_path, "no_metrics")
    (no_metrics / "metrics.jsonl").unlink()
    half = write_run(tmp_path, "half")
    (half / "evaluation.json").write_text('{"protocol": {')
    foreign = write_run(tmp_path, "foreign")
    (foreign / "evaluation.json").write_text('{"protocol": {}}')
    odd = write_run(tmp_path, "odd", lines=[start(0), {"kind": "train", "step": 1}])
    runs = [good, empty, no_metrics, half, foreign, odd]
    text, rows, warnings = report(runs, tmp_path / "report", is_drawn=True)
    assert {row["run"] for row in rows} == {"good"}
    assert warnings == [
        f"left out: {empty / 'metrics.jsonl'} has no start line yet",
        f"left out: {no_metrics / 'metrics.jsonl'}: No such file or directory",
        f"left out: {half / 'evaluation.json'} cannot be read: "
        "not JSON, or cut short (Expecting property name enclosed in double quotes at column 15)",
        f"left out: {foreign / 'evaluation.json'} is not as a run writes it: tasks is missing",
        f"{odd / 'metrics.jsonl'}: line 2 is left out: updates is missing",
        f"{odd} has no evaluation: it is in the curves, not in the table",
    ]
    assert all(warning in text for warning in warnings)


@pytest.mark.parametrize(
    ("change", "named", "file"),
    [
        ({"protocol": PROTOCOL | {"episodes": 10}}, "protocol.episodes", "success-modern2.csv"),
        (
            {"protocol": PROTOCOL | {"name": "legacy", "horizon": 150}},
            "protocol.horizon, protocol.name",
            "success-legacy2.csv",
        ),
        ({"simulator": SIMULATOR | {"backend": "envpool"}}, "simulator.backend", "success-modern2.csv"),
    ],
)
def test_two_protocols_are_never_in_one_table(tmp_path: Path, change: dict, named: str, file: str) -> None:
    write_run(tmp_path, "a", final=result(3000, 0, (1.0, 1.0), (1.0, 1.0)))
    write_run(tmp_path, "b", final=result(3000, 0, (0.0, 0.0), (0.0, 0.0), **change))
    text, rows, warnings = report([tmp_path / "a", tmp_path / "b"], tmp_path / "report", is_drawn=True)
    assert {row["run"] for row in rows} == {"a"}
    assert {row["run"] for row in read_csv(tmp_path / "report" / file)} == {"b"}
    (warning,) = warnings
    assert f"differs from that of {tmp_path / 'a' / 'seed_0'} in {named}: in a table of its own" in warning
    assert "| a any-step | b any-step" not in " ".join(text.split())
    assert "not comparable" in (tmp_path / "report" / "index.html").read_text()


def test_evaluations_made_as_most_are_come_first(tmp_path: Path) -> None:
    """A quick one of the first seed is the odd one out."""
    quick = PROTOCOL | {"episodes": 10}
    for name in ("a", "b"):
        for seed in range(2):
            protocol = quick if (name, seed) == ("a", 0) else PROTOCOL
            write_run(tmp_path, name, seed, final=result(3000, seed, (0.5, 0.5), (0.5, 0.5), protocol=protocol))
    _, rows, warnings = report([tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert {(row["run"], row["seeds"]) for row in rows} == {("a", "1"), ("b", "2")}
    assert {row["run"] for row in read_csv(tmp_path / "report" / "success-modern2.csv")} == {"a"}
    first, second = (tmp_path / "a" / f"seed_{seed}" for seed in range(2))
    assert warnings == [
        f"{first}: its evaluation differs from that of {second} in protocol.episodes: in a table of its own"
    ]


def test_a_run_under_both_protocols_is_in_both_tables(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", final=result(3000, 0, (0.5, 0.5), (0.5, 0.5)))
    legacy = result(2000, 0, (1.0, 1.0), (0.5, 0.5), protocol=PROTOCOL | {"name": "legacy", "episodes": 1})
    (folder / "evaluation-legacy.json").write_text(json.dumps(legacy))
    report([folder], tmp_path / "report", is_drawn=True)
    modern, old = (read_csv(tmp_path / "report" / f"headline{end}.csv") for end in ("", "-legacy2"))
    assert (modern[0]["iqm"], old[0]["iqm"]) == ("0.5", "1.0")
    assert "biased upwards" in (tmp_path / "report" / "index.html").read_text()


def test_other_tasks_are_a_part_of_their_own(tmp_path: Path) -> None:
    first = write_run(tmp_path, "a", final=result(3000, 0, (1.0, 0.5), (0.5, 0.5)))
    other = ("reach-v3", "door-open-v3")
    lines = [start(0, other), train(1000, 1.0, 1.0, tasks=other)]
    second = write_run(tmp_path, "b", lines=lines, final=result(1000, 0, (0.1, 0.2), (0, 0), tasks=other))
    _, rows, warnings = report([first, second], tmp_path / "report")
    assert {row["run"] for row in rows} == {"a"}
    assert [row["task"] for row in read_csv(tmp_path / "report" / "tasks_any_step-tasks2.csv")] == [*other, "mean"]
    assert warnings == [f"{second} has other tasks than {first}: in a part of its own"]


def test_a_run_still_going_says_how_far_it_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path, steps=9000)
    warnings: list[str] = []
    parts([folder], warnings)
    assert warnings == [f"{folder} has no evaluation (step 3,000 of 9,000): it is in the curves, not in the table"]


def test_an_evaluation_that_is_not_of_the_runs_end_is_pointed_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, final=result(1000, 0, (0.5, 0.5), (0.5, 0.5)), steps=9000)
    trained_on = write_run(tmp_path, "b", final=result(1000, 0, (0.5, 0.5), (0.5, 0.5)), steps=1000)
    warnings: list[str] = []
    parts([folder, trained_on], warnings)
    assert warnings == [
        f"{folder}: its evaluation is of step 1,000 of 9,000",
        f"{trained_on}: its evaluation is of step 1,000 of 3,000",
    ]


def test_a_log_that_ends_before_the_evaluation_is_pointed_out(tmp_path: Path) -> None:
    """Lost lines shorten the areas of every run."""
    folder = write_run(tmp_path, final=result(9000, 0, (0.5, 0.5), (0.5, 0.5)), steps=9000)
    warnings: list[str] = []
    parts([folder], warnings)
    ends = f"{folder}: its log ends at step 3,000, before its evaluation of step 9,000"
    assert warnings == [f"{ends}: areas under the curve are of the steps before, for all runs"]


def test_the_filled_circle_is_of_the_first_table(tmp_path: Path) -> None:
    """Seeds that were evaluated otherwise stand in a table of their own, and are not in its mean either."""
    write_run(tmp_path, seed=0, final=result(3000, 0, (0.5, 0.5), (0.5, 0.5)))
    short = PROTOCOL | {"horizon": 150}
    write_run(tmp_path, seed=1, final=result(3000, 1, (1.0, 1.0), (1.0, 1.0), protocol=short))
    (part,) = parts([tmp_path / "a"], [])
    axes = Figure().subplots()
    learning_plots(part)[0].panels[0].draw(axes)
    (filled,) = [line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() != "none"]
    assert np.asarray(filled.get_xydata()).tolist() == [[3000.0, 0.5]]


def test_the_wall_time_of_a_curve_is_in_minutes(tmp_path: Path) -> None:
    write_run(tmp_path)  # the first episodes end by 20 s, the last by 30 s
    (part,) = parts([tmp_path / "a"], [])
    (plot,) = [plot for plot in learning_plots(part) if plot.name == "curve_time"]
    axes = Figure().subplots()
    plot.panels[0].draw(axes)
    assert axes.lines[0].get_xdata() == pytest.approx([1 / 3, 1 / 2])


def test_seeds_with_other_settings_are_pointed_out(tmp_path: Path) -> None:
    write_run(tmp_path, seed=0, steps=100)
    write_run(tmp_path, seed=1, steps=200)
    warnings: list[str] = []
    ((group,),) = (part.groups for part in parts([tmp_path / "a"], warnings))
    assert [run.seed for run in group.runs] == [0, 1]
    assert f"{tmp_path / 'a' / 'seed_1'} differs from {tmp_path / 'a' / 'seed_0'} in steps" in warnings


def test_the_precision_of_runs_is_named_and_seeds_that_differ_in_it_are_pointed_out(tmp_path: Path) -> None:
    for seed, precision in enumerate(("bfloat16", "float32")):
        final = result(3000, seed, (0.5, 1.0), (0.25, 0.5))
        write_run(tmp_path, seed=seed, final=final, training={"precision": precision, "threads": 1})
    first, second = (tmp_path / "a" / f"seed_{seed}" for seed in (0, 1))
    _, _, warnings = report([tmp_path / "a"], tmp_path / "report")
    assert f"{second} differs from {first} in training.precision" in warnings
    assert [row["precision"] for row in read_csv(tmp_path / "report" / "runs.csv")] == ["bfloat16", "float32"]


def test_columns_that_were_not_trained_alike_are_pointed_out(tmp_path: Path) -> None:
    for name, step, precision in (("a", 3000, "bfloat16"), ("b", 3000, "bfloat16"), ("c", 1500, "float32")):
        final = result(step, 0, (0.5, 1.0), (0.25, 0.5))
        write_run(tmp_path, name, final=final, training={"precision": precision})
    _, _, warnings = report([tmp_path / name for name in "abc"], tmp_path / "report")
    assert [line for line in warnings if line.startswith("unequal")] == [
        "unequal training steps: 3,000 of a, b; 1,500 of c",
        "unequal precision: bfloat16 of a, b; float32 of c",
    ]
    _, _, warnings = report([tmp_path / name for name in "ab"], tmp_path / "report")
    assert not warnings


def test_seeds_are_sorted_as_numbers(tmp_path: Path) -> None:
    for seed in (10, 2, 1):
        write_run(tmp_path, seed=seed)
    ((group,),) = (part.groups for part in parts([tmp_path / "a"], []))
    assert [run.seed for run in group.runs] == [1, 2, 10]
    assert seed_folder(tmp_path / "a", None).name == "seed_1"
    assert [folder.name for folder in find_runs([tmp_path / "a"])] == ["seed_1", "seed_2", "seed_10"]


def test_a_seed_that_failed_before_it_had_a_configuration_is_left_out_by_name(tmp_path: Path) -> None:
    write_run(tmp_path)
    failed = tmp_path / "a" / "seed_1"
    failed.mkdir()
    warnings: list[str] = []
    (failed / "failure.json").write_text('{"reason": "out of memory", "trace": ""}')
    _, contents = read_report([tmp_path / "a"], tmp_path / "report", warnings.append)
    assert warnings[0] == f"left out: {failed} has no config.yaml; it failed: out of memory"
    assert warnings[0] in contents.page.warnings
    assert f"- {warnings[0]}" in contents.whole["success.md"].decode().splitlines()
    assert find_runs([tmp_path / "a"]) == [tmp_path / "a" / "seed_0"]


def test_one_seed_twice_is_an_error(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "x"), write_run(tmp_path / "y")
    with pytest.raises(UserError, match=f"seed 0 of a is there twice: {one} and {two}"):
        write_report([one, two], tmp_path / "report", lambda line: None)
    assert not (tmp_path / "report").exists()


def test_an_evaluation_of_another_seed_is_left_out(tmp_path: Path) -> None:
    folder, warnings = write_run(tmp_path, final=result(3000, 2, (1.0, 1.0), (1.0, 1.0))), list[str]()
    assert not read_measures(folder, warnings.append)[0].outcome.results
    assert warnings == [f"{folder / 'evaluation.json'} is of seed 2, and of a run of seed 0: left out"]


def test_a_log_of_another_seed_is_pointed_out(tmp_path: Path) -> None:
    folder, warnings = write_run(tmp_path, seed=5, seeds=[2]), list[str]()
    read_measures(folder, warnings.append)
    assert warnings == [f"{folder}: config.yaml is of seed 2, metrics.jsonl of seed 5"]


def test_a_resumed_run_says_all_that_it_was_made_with(tmp_path: Path) -> None:
    later = start(0, git_commit="a" * 20, versions={"torch": "2.14.0", "numpy": "2.4"}, hardware="4 cores")
    write_run(tmp_path, lines=[start(0), train(1000, 0.1, 0.2), later, train(2000, 0.1, 0.2)])
    text, _, _ = report([tmp_path / "a"], tmp_path / "report")
    (run,) = read_csv(tmp_path / "report" / "runs.csv")
    assert run["commit"] == f"0123456789abcdef+changes then {'a' * 20}"
    assert run["packages"] == "torch 2.13.0 then 2.14.0, numpy – then 2.4"
    assert (run["device"], run["hardware"]) == ("cpu", "2 cores then 4 cores")
    assert f" 0123456789+changes then {'a' * 10} " in text


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is no folder"):
        write_report([tmp_path / "nowhere"], tmp_path / "report", pytest.fail)
    with pytest.raises(UserError, match="holds no run"):
        write_report([tmp_path], tmp_path / "report", pytest.fail)
    write_run(tmp_path, "one")
    with pytest.raises(UserError, match=f"{tmp_path} holds no run: .*; its folders do, such as {tmp_path / 'one'}$"):
        write_report([tmp_path], tmp_path / "report", pytest.fail)


def test_report_needs_a_folder(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        write_report([tmp_path / "a"], tmp_path / "file", pytest.fail)
    assert (tmp_path / "file").read_text() == "mine"


def test_files_that_a_report_no_longer_has_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contents, "files", lambda contents: {PAGE: b"<html>\n", **contents.tables()})  # undrawn
    for name in ("a", "b"):
        write_run(tmp_path, name, final=result(3000, 0, (1.0, 0.5), (0.5, 0.0)), lr=name)
    out = tmp_path / "report"
    out.mkdir()
    for name in ("pairs.txt", "success-old.tex"):
        (out / name).write_text("mine")
    both = write_report([tmp_path / "a", tmp_path / "b"], out, pytest.fail, with_latex=True)
    assert {out / "pairs.csv", out / "success.tex"} <= set(both.files)
    one = write_report([tmp_path / "a"], out, pytest.fail)
    assert one.files[0] == out / PAGE
    assert set(out.iterdir()) == {*one.files, out / "pairs.txt", out / "success-old.tex"}
    assert set(one.files) < set(both.files)
    (out / "pairs.csv").write_text("mine")  # by now a file of somebody else
    write_report([tmp_path / "a"], out, pytest.fail)
    assert (out / "pairs.csv").read_text() == "mine"


def test_other_files_in_the_folder_are_kept(tmp_path: Path) -> None:
    write_run(tmp_path)
    out = tmp_path / "report"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "success.md").write_text("stale")
    report([tmp_path / "a"], out, is_drawn=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "success.md").stat().st_mode & 0o777 == 0o644  # others may read it
    assert "stale" not in (out / "success.md").read_text()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
