"""`mtrl compare`: of runs really trained, and of folders with chosen numbers."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mtrl.cli.main import main
from mtrl.protocols import BIAS
from tests.report.run_folders import PROTOCOL, result, start, write_run


def rows(printed: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in cells}


def compared(capsys: pytest.CaptureFixture[str], one: Path, other: Path) -> str:
    assert main(["compare", str(one), str(other)]) == 0
    return capsys.readouterr().out


def success(run: Path, seed: int, task: int) -> float:
    tasks = json.loads((run / f"seed_{seed}" / "evaluation.json").read_text())["tasks"]
    return float(tasks[task]["success_any"])


def write_scores(out: Path, name: str, scores: dict[int, tuple[float, float]], file: str = "evaluation.json") -> Path:
    for seed, success in scores.items():
        folder = out / name / f"seed_{seed}"
        if not folder.exists():
            write_run(out, name, seed)
        (folder / file).write_text(json.dumps(result(3000, seed, success, success)))
    return out / name


def test_trained_runs(points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = compared(capsys, points / "mean", points / "pcgrad")
    found = rows(printed)
    assert found["method.name"] == ["mean", "pcgrad"]
    assert found["agent.learning_rate"] == ["0.0003", "0.001"]
    assert not {"name", "out", "seeds", "steps"} & found.keys()  # where it is, not what; and what is the same
    assert "Made with: the same." in printed
    assert "Any-step success, protocol modern" in printed
    assert "Paired over seeds 0, 1, 2; the second less the first." in printed
    for i, task in enumerate(("PointEast-v0", "PointNorth-v0", "PointWest-v0", "PointSouth-v0")):
        means = [np.mean([success(points / name, seed, i) for seed in range(3)]) for name in ("mean", "pcgrad")]
        assert [float(cell) for cell in found[task][:3]] == pytest.approx([*means, means[1] - means[0]], abs=1e-3)


def test_supervised_runs(toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = compared(capsys, toys / "toy", toys / "famo")
    found = rows(printed)
    assert found["method.name"] == ["mean", "famo"]
    metrics = json.loads((toys / "famo" / "seed_0" / "evaluation.json").read_text())["metrics"]
    assert len(metrics) > 1
    for metric in metrics:
        unit = f", {metric['unit']}" if metric["unit"] else ""
        label = f"{metric['name']}{unit} {'↑' if metric['higher_is_better'] else '↓'}"
        assert found[label][1] == f"{metric['value']:.4g}"
    assert "No interval: at least 3 seeds in common are needed." in printed


def test_pairs_take_out_what_a_seed_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds differ by far more than the methods do."""
    base = {0: 0.1, 1: 0.4, 2: 0.7, 3: 0.2, 5: 0.6}
    one = write_scores(tmp_path, "one", {seed: (rate, rate) for seed, rate in base.items()} | {9: (1.0, 1.0)})
    better = {seed: (rate + 0.1, rate + 0.2) for seed, rate in base.items()} | {7: (0.0, 0.0)}
    printed = compared(capsys, one, write_scores(tmp_path, "two", better))
    found = rows(printed)
    assert found["reach-v3"] == ["0.4", "0.5", "+0.1", "+0.1 to +0.1"]
    assert found["push-v3"] == ["0.4", "0.6", "+0.2", "+0.2 to +0.2"]
    assert found["mean"] == ["0.4", "0.55", "+0.15", "+0.15 to +0.15"]
    assert "Paired over seeds 0, 1, 2, 3, 5" in printed
    assert "Left out: seed 9 of one, alone. Left out: seed 7 of two, alone." in " ".join(printed.split())
    signs = np.array(list(itertools.product((1, -1), repeat=5)))
    p_value = (np.abs(signs.sum(axis=1)) >= 5).mean()
    assert f"better in 5 of 5 seeds, p = {p_value:.3g} (sign flips)" in printed


def test_runs_that_tie_exactly_do_so_but_for_rounding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", dict.fromkeys(range(3), (0.1, 0.2)))
    printed = compared(capsys, one, write_scores(tmp_path, "two", dict.fromkeys(range(3), (0.3, 0.0))))
    assert rows(printed)["mean"][2:] == ["+0", "+0 to +0"]
    assert "The second is better in 0 of 3 seeds, p = 1 (sign flips)." in printed


def test_what_so_many_seeds_could_have_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", dict.fromkeys(range(3), (0.1, 0.1)))
    printed = compared(capsys, one, write_scores(tmp_path, "two", {0: (0.2, 0.2), 1: (0.4, 0.2), 2: (0.4, 0.4)}))
    assert "Could show: 0.326 of the mean," in printed  # 3.26 standard deviations
    assert "p of sign flips is never below 0.25 with 3 seeds." in printed


def test_no_seed_in_common(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.0, 0.5), 1: (1.0, 0.5)})
    printed = compared(capsys, one, write_scores(tmp_path, "two", {2: (1.0, 1.0)}))
    assert rows(printed)["reach-v3"] == ["0.5", "1", "+0.5", "–"]
    assert "No seed in common: means of 2 and of 1 seeds, not paired, and no interval." in printed


def test_what_runs_were_made_with_otherwise_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By all their start lines: a run that goes on may do so on another machine."""
    write_run(tmp_path, "one", lines=[start(0, device="cuda"), start(0), start(0, device="cuda")])
    write_run(tmp_path, "two", lines=[start(0), start(0, device="cuda", versions={"torch": "2.12.0"})])
    of_configuration, made_with = compared(capsys, tmp_path / "one", tmp_path / "two").split("Made with")
    assert "Configuration: the same." in of_configuration
    header, _, *different = rows(made_with).items()
    assert header == ("", ["one", "two"])
    assert different == [
        ("device", ["cuda then cpu", "cpu then cuda"]),
        ("versions.torch", ["2.13.0", "2.13.0 then 2.12.0"]),
    ]


def test_seeds_of_one_run_that_differ_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, commit in enumerate(("a" * 40, "b" * 40, "b" * 40)):
        write_run(tmp_path, "one", seed, lines=[start(seed, git_commit=commit)], steps=4000 if seed == 1 else 3000)
    write_run(tmp_path, "two", lines=[start(0, git_commit="b" * 40)], steps=3000)
    of_configuration, made_with = compared(capsys, tmp_path / "one", tmp_path / "two").split("Made with")
    _, _, *different = rows(of_configuration).items()
    assert different == [("steps", ["3000 (seeds 0, 2); 4000 (seed 1)", "3000"])]
    assert rows(made_with)["git_commit"] == [f"{'a' * 10} (seed 0); {'b' * 10} (seeds 1, 2)", "b" * 10]


def test_a_seed_without_its_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", dict.fromkeys(range(3), (0.1, 0.1)))
    two = write_scores(tmp_path, "two", dict.fromkeys(range(3), (0.2, 0.2)))
    (one / "seed_1" / "config.yaml").unlink()
    (one / "seed_1" / "failure.json").write_text(json.dumps({"reason": "out of memory", "trace": ""}))
    assert main(["compare", str(one), str(two)]) == 0
    assert f"left out: {one / 'seed_1'} has no config.yaml; it failed: out of memory" in capsys.readouterr().err
    for seed in (0, 2):
        (one / f"seed_{seed}" / "config.yaml").unlink()
    assert main(["compare", str(one), str(two)]) == 2
    assert f"{one} has no seed with a config.yaml" in capsys.readouterr().err


def test_two_seeds_of_one_run(points: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (points / "mean" / f"seed_{seed}" for seed in (0, 1))
    printed = compared(capsys, one, other)
    assert "Configuration: the same." in printed
    assert f"| {one} | {other} |" in re.sub(" +", " ", printed)


def test_protocols_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.5, 0.5)})
    other = write_scores(tmp_path, "two", {0: (1.0, 1.0)}, "evaluation-legacy.json")
    assert "there is no evaluation under one protocol of both runs" in compared(capsys, one, other)
    write_scores(tmp_path, "one", {0: (1.0, 1.0)}, "evaluation-legacy.json")
    printed = compared(capsys, one, other)
    assert "Any-step success, protocol legacy" in printed
    assert BIAS in printed
    assert "protocol modern" not in printed


def test_evaluations_made_otherwise_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.5, 0.5)})
    final = result(3000, 0, (1.0, 1.0), (1.0, 1.0), protocol=PROTOCOL | {"horizon": 150, "episodes": 10})
    write_run(tmp_path, "two", final=final)
    printed = compared(capsys, one, tmp_path / "two")
    assert "Results: not compared, the evaluations differ in protocol.episodes, protocol.horizon." in printed


def test_tasks_that_one_run_alone_has_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.5, 0.5)})
    write_run(tmp_path, "two", final=result(3000, 0, (1.0, 0.0), (1.0, 0.0), tasks=("push-v3", "door-open-v3")))
    printed = compared(capsys, one, tmp_path / "two")
    assert rows(printed)["push-v3"] == ["0.5", "1", "+0.5", "–"]
    assert "reach-v3" not in rows(printed)
    assert "Left out, because not all have them: door-open-v3, reach-v3." in printed


def test_seeds_evaluated_otherwise_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.5, 0.5)})
    other_protocol = PROTOCOL | {"horizon": 150, "episodes": 5}
    for seed in (1, 2):
        write_run(tmp_path, "one", seed, final=result(3000, seed, (1.0, 1.0), (1.0, 1.0), protocol=other_protocol))
    two = write_scores(tmp_path, "two", dict.fromkeys(range(3), (0.7, 0.7)))
    printed = compared(capsys, one, two)
    assert rows(printed)["reach-v3"][:2] == ["0.5", "0.7"]
    assert "Paired over seed 0; the second less the first." in printed
    assert "Left out: seeds 1, 2 of one, evaluated with another protocol.episodes, protocol.horizon." in printed


def test_most_pairs_decide_which_evaluations_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quick one of the first seed is left out, and not all the others."""
    for name in ("one", "two"):
        for seed in range(3):
            protocol = PROTOCOL | ({"episodes": 10} if (name, seed) == ("one", 0) else {})
            write_run(tmp_path, name, seed, final=result(3000, seed, (1.0, 1.0), (1.0, 1.0), protocol=protocol))
    printed = compared(capsys, tmp_path / "one", tmp_path / "two")
    assert "Paired over seeds 1, 2; the second less the first." in printed
    assert "Left out: seed 0 of one, evaluated with another protocol.episodes." in printed


def test_seeds_without_an_evaluation_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {2: (0.5, 0.5)})
    for seed in (0, 1):
        write_run(tmp_path, "one", seed)
    printed = compared(capsys, one, write_scores(tmp_path, "two", dict.fromkeys(range(3), (0.7, 0.7))))
    assert "Paired over seed 2; the second less the first." in printed
    assert "Left out: seeds 0, 1 of one, no evaluation." in printed
    assert "alone" not in printed  # the other run's seeds 0 and 1 lack only their results


def test_evaluations_of_different_steps_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", {0: (0.5, 0.5)})
    write_run(tmp_path, "two", final=result(1000, 0, (0.5, 0.5), (0.5, 0.5)))
    printed = compared(capsys, one, tmp_path / "two")
    assert "Evaluations of different steps: 1,000 to 3,000." in printed
    assert "Evaluations of step 1,000 of runs that are at 3,000." in printed


def test_evaluations_that_are_all_as_old_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        write_run(tmp_path, name, final=result(1000, 0, (0.5, 0.5), (0.5, 0.5)))
    printed = compared(capsys, tmp_path / "one", tmp_path / "two")
    assert "Evaluations of step 1,000 of runs that are at 3,000." in printed
    assert "different steps" not in printed


def test_p_has_the_digits_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_scores(tmp_path, "one", dict.fromkeys(range(4), (0.1, 0.1)))
    printed = compared(capsys, one, write_scores(tmp_path, "two", dict.fromkeys(range(4), (0.2, 0.2))))
    assert "p = 0.125 (sign flips)" in printed


def test_success_and_returns_have_a_table_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mean over both would say nothing, and who is better even less."""
    tasks = ("reach-v3", "Pendulum-v1")
    for name, success, mean_return in (("one", 0.9, -900.0), ("two", 0.1, -850.0)):
        for seed in range(3):
            record = result(3000, seed, (success, 0.0), (success, 0.0), tasks=tasks)
            record["tasks"][1] = {"name": "Pendulum-v1", "episodes": 50, "mean_return": mean_return}
            write_run(tmp_path, name, seed, final=record)
    of_success, of_returns = compared(capsys, tmp_path / "one", tmp_path / "two").split("Return, protocol modern")
    assert "Any-step success, protocol modern" in of_success
    assert "mean" not in rows(of_success)  # of a single task
    assert rows(of_success)["reach-v3"][:3] == ["0.9", "0.1", "-0.8"]
    assert rows(of_returns)["Pendulum-v1"][:3] == ["-900", "-850", "+50"]
    assert "better in 0 of 3 seeds" in of_success
    assert "better in 3 of 3 seeds" in of_returns


def test_one_seed_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, twice = write_run(tmp_path, "one", 2), write_run(tmp_path, "one", 5, seeds=[2])
    assert main(["compare", str(folder.parent), str(write_run(tmp_path, "two", 2).parent)]) == 2
    assert f"seed 2 of one is there twice: {folder} and {twice}" in capsys.readouterr().err


def test_a_log_of_another_seed_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, "one", 5, seeds=[2])
    assert main(["compare", str(folder), str(write_run(tmp_path, "two", 2))]) == 0
    assert capsys.readouterr().err == f"warning: {folder}: config.yaml is of seed 2, metrics.jsonl of seed 5\n"


def test_an_evaluation_of_another_seed_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As one that was copied is."""
    one = write_scores(tmp_path, "one", {0: (0.1, 0.1), 2: (0.5, 0.5)})
    (one / "seed_0" / "evaluation.json").write_bytes((one / "seed_2" / "evaluation.json").read_bytes())
    assert main(["compare", str(one), str(write_scores(tmp_path, "two", {0: (1.0, 1.0), 2: (1.0, 1.0)}))]) == 0
    printed = capsys.readouterr()
    path = one / "seed_0" / "evaluation.json"
    assert printed.err == f"warning: {path} is of seed 2, and of a run of seed 0: left out\n"
    assert "Paired over seed 2; the second less the first." in printed.out
    assert "Left out: seed 0 of one, no evaluation." in printed.out


def test_runs_of_two_kinds_are_refused(points: Path, toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(points / "mean"), str(toys / "toy")]) == 2
    assert capsys.readouterr().err == (
        f"mtrl compare: error: {toys / 'toy'} is a supervised run and {points / 'mean'} is none\n"
    )
