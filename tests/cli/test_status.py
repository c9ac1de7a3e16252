"""`mtrl status`: of runs really trained, of one while it trains, and of folders with chosen numbers."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtrl.cli.main import main
from mtrl.runs import run_state
from mtrl.runs.errors import UserError
from mtrl.runs.folder import save_config
from mtrl.runs.lock import locked
from mtrl.runs.run_state import all_runs, read_state
from tests.cli.conftest import POINTS
from tests.existing import existing
from tests.report.run_folders import evaluation, result, start, train, write_run
from tests.runs.small_runs import toy, trained_toy

COMMAND = "import sys; from mtrl.cli.main import main; sys.exit(main())"
LONG_AGO_S = 3600


def rows(printed: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in cells}


def age(folder: Path) -> None:
    then = time.time() - LONG_AGO_S
    os.utime(folder / "metrics.jsonl", (then, then))


def test_finished_runs_of_both_kinds(points: Path, toys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(points), str(toys / "toy")]) == 0
    captured = capsys.readouterr()
    found = rows(captured.out)
    names = [f"mean/seed_{k}" for k in range(3)] + [f"pcgrad/seed_{k}" for k in range(4)] + ["toy/seed_0"]
    assert [name for name in found if "seed" in name] == names
    state, done, share, so_far, rate, left, _, evaluated = found["pcgrad/seed_3"]
    assert (state, done, share, left) == ("finished", "960 steps", "100%", "–")
    assert so_far.startswith("success 0.")
    assert rate.endswith("steps/s")
    assert evaluated.startswith("modern 0.")
    assert found["toy/seed_0"][:3] == ["finished", "3 epochs", "100%"]
    assert found["toy/seed_0"][3].startswith("gap, scale 0.1 from (-8.5, 7.5)")
    assert found["toy/seed_0"][-1] == "evaluated"
    assert captured.err == ""


def test_a_run_while_it_trains_and_after_it_was_stopped(tmp_path: Path) -> None:
    (tmp_path / "points.yaml").write_text(POINTS)
    words = ["train", tmp_path / "points.yaml", "--name", "long", "--out", tmp_path, "--steps", "100000000"]
    folder = tmp_path / "long" / "seed_0"
    with subprocess.Popen([sys.executable, "-c", COMMAND, *map(str, words)], stdout=subprocess.DEVNULL) as training:
        try:
            config, until = folder / "config.yaml", time.monotonic() + 60
            while time.monotonic() < until and not (config.exists() and (state := read_state(folder)).rate):
                time.sleep(0.1)
            assert state.state == "running"
            assert 0 < state.done < state.budget == 100_000_000
            assert state.left_s is not None
            assert state.left_s == pytest.approx((state.budget - state.done) / existing(state.rate))
            age(folder)  # silence proves nothing while the process is there
            assert read_state(folder).state == "running"
        finally:
            training.send_signal(signal.SIGTERM)
    stopped = read_state(folder)
    assert stopped.state == "interrupted"
    assert stopped.left_s is None
    assert not stopped.is_complete


def test_without_a_lock_the_age_of_the_log_decides(tmp_path: Path) -> None:
    folder = write_run(tmp_path, steps=10_000)
    assert read_state(folder).state == "running"
    age(folder)
    assert read_state(folder).state == "interrupted"
    slow = [
        start(0),
        *(train(1000 * k, 0.5, 0.5) | {"wall_s": 3000.0 * k} for k in range(1, 4)),
    ]  # 50 minutes a line
    slow_folder = write_run(tmp_path, "slow", lines=slow, steps=10_000)
    age(slow_folder)
    assert read_state(slow_folder).state == "running"
    with locked(folder):
        assert read_state(folder).state == "running"
    assert read_state(folder).state == "interrupted"


def test_numbers(tmp_path: Path) -> None:
    lines = [start(0), train(1000, None, None), train(2000, 0.5, None), evaluation(2000, 1.0, 1.0)]
    folder = write_run(tmp_path, lines=lines, steps=10_000)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')  # being written
    state = read_state(folder)
    assert (state.done, state.budget, state.share, state.rate) == (2000, 10_000, 0.2, 100.0)
    assert state.so_far == "success 0.50"  # of the task that has finished an episode
    assert state.left_s == 80.0
    assert state.evaluation == ""


def test_both_protocols_are_named_and_the_bias_is_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path, final=result(2000, 0, (0.5, 1.0), (0.5, 1.0)), steps=3000)
    (folder / "evaluation-legacy.json").write_text(json.dumps(result(3000, 0, (1.0, 1.0), (1.0, 1.0))))
    assert read_state(folder).evaluation == "modern 0.75 at step 2,000, legacy 1.00 (biased)"


def test_a_run_is_complete_with_an_evaluation_of_its_last_step(tmp_path: Path) -> None:
    folder = write_run(tmp_path, final=result(3000, 0, (0.5, 1.0), (0.5, 1.0)), steps=3000)
    assert read_state(folder).is_complete
    (folder / "evaluation.json").write_text(json.dumps(result(2000, 0, (0.5, 1.0), (0.5, 1.0))))
    (folder / "evaluation-legacy.json").write_text(json.dumps(result(2000, 0, (1.0, 1.0), (1.0, 1.0))))
    assert not read_state(folder).is_complete
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("evaluation:\n", "evaluation:\n  protocol: legacy\n"))
    assert read_state(folder).is_complete
    (folder / "evaluation-legacy.json").write_text("{")
    assert not read_state(folder).is_complete


@pytest.mark.parametrize(
    ("epochs", "state"), [(2, ("finished", "evaluated")), (5, ("interrupted", "evaluated at epoch 2"))]
)
def test_a_supervised_run_that_goes_on_is_not_over(epochs: int, state: tuple[str, str], tmp_path: Path) -> None:
    """A killed one, whose evaluation is of the epochs that it was to have before."""
    folder = trained_toy(tmp_path / "toy" / "seed_0", epochs=2)
    save_config(folder, toy(epochs=epochs), 0)
    found = read_state(folder)
    assert ((found.state, found.evaluation), found.is_complete) == (state, epochs == 2)


@pytest.mark.parametrize("held", [True, False])
def test_of_a_long_log_the_last_lines_tell_what_all_tell(
    held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [start(0), *(train(1000 * k, 0.5, k / 118) for k in range(1, 60))]
    agent = write_run(tmp_path, lines=lines, steps=100_000)
    epochs = [{"kind": "train", "epoch": k, "wall_s": 2.0 * k, "loss": {"a": 1 / k}} for k in range(1, 60)]
    tested = {"kind": "evaluation", "epoch": 9, "wall_s": 18.0, "split": "test", "metrics": {"accuracy": 0.5}}
    toy = write_run(tmp_path, "toy", lines=[start(0), *epochs[:9], tested, *epochs[9:]], epochs=80, benchmark={})
    for folder in (agent, toy):
        (folder / "lock").touch() if held else age(folder)
    seen = [replace(read_state(folder), age_s=0.0) for folder in (agent, toy)]
    assert [state.so_far for state in seen] == ["success 0.50", "accuracy 0.5"]
    assert [state.done for state in seen] == [59_000, 59]
    assert [state.rate for state in seen] == [100.0, 0.5]
    monkeypatch.setattr(run_state, "_LAST_LINES", 1_000)
    assert [replace(read_state(folder), age_s=0.0) for folder in (agent, toy)] == seen


def test_a_damaged_line_among_the_last_is_named_with_its_number(tmp_path: Path) -> None:
    lines = [start(0), *(train(1000 * k, 0.5, 0.5) for k in range(1, 60))]
    metrics = write_run(tmp_path, lines=lines, steps=100_000) / "metrics.jsonl"
    texts = metrics.read_text().splitlines()
    metrics.write_text("\n".join([*texts[:-3], "{", *texts[-3:-1], '{"kind": "train"', ""]))
    told: list[str] = []
    assert read_state(metrics.parent, told.append).done == 58_000
    assert [line.partition(" is left out")[0] for line in told] == [f"{metrics}: line {k}" for k in (58, 61)]


def test_before_the_first_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, lines=[], steps=10_000)
    state = read_state(folder)
    assert (state.done, state.so_far, state.rate, state.age_s) == (0, "", None, None)
    assert main(["status", str(folder)]) == 0
    assert rows(capsys.readouterr().out)["a/seed_0"] == ["interrupted", "0 steps", "0%", "–", "–", "–", "–", "–"]


def test_a_damaged_run_is_left_out_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "good", steps=10_000)
    bad = write_run(tmp_path, "bad", steps=10_000)
    (bad / "config.yaml").write_text("steps: 10_000")
    unreadable = write_run(tmp_path, "half", steps=10_000)
    (unreadable / "evaluation.json").write_text("{")
    assert main(["status", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"warning: left out: {bad / 'config.yaml'} is not as a run writes it: it needs a name\n"
    assert rows(captured.out)["half/seed_0"][-1] == "evaluation.json cannot be read"
    with pytest.raises(UserError):
        read_state(bad)


def test_a_seed_that_is_closed_to_this_user_is_left_out_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of somebody else with umask 077, who trains one of the seeds; root would see into it."""
    write_run(tmp_path, "a", steps=10_000)
    closed = write_run(tmp_path, "a", 1)
    stat = Path.stat

    def refused(path: Path, **more: Any) -> os.stat_result:
        if path.parent == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **more)

    monkeypatch.setattr(Path, "stat", refused)
    assert main(["status", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"warning: left out: {closed / 'config.yaml'}: Permission denied\n"
    assert [name for name in rows(captured.out) if "seed" in name] == ["a/seed_0"]


def test_runs_sweeps_and_copies_within_a_run_are_all_found(tmp_path: Path) -> None:
    seeds = [write_run(tmp_path / place, name) for place, name in ((".", "a"), ("a", "old"), ("s", "b"), ("s", "c"))]
    assert all_runs([tmp_path]) == seeds
    assert all_runs([tmp_path / "a"]) == seeds[:2]
    assert all_runs([seeds[0], tmp_path / "s"]) == [seeds[0], *seeds[2:]]


def test_a_seed_without_its_configuration_is_named_unless_it_merely_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "good", steps=10_000)
    lost, begun = write_run(tmp_path, "good", 1), write_run(tmp_path, "good", 2)
    (lost / "config.yaml").unlink()
    shutil.rmtree(begun)
    (tmp_path / "good" / "seed_2").mkdir()
    (begun / "lock").touch()
    failed = tmp_path / "other" / "seed_0"
    failed.mkdir(parents=True)
    (failed / "failure.json").write_text('{"reason": "out of memory", "trace": ""}')
    assert main(["status", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        f"warning: left out: {lost / 'config.yaml'}: No such file or directory",
        f"warning: left out: {failed} has no config.yaml; it failed: out of memory",
    ]
    assert [name for name in rows(captured.out) if "seed" in name] == ["good/seed_0"]


@pytest.mark.parametrize("command", ["status", "compare"])
def test_it_waits_for_nothing_heavy(command: str, tmp_path: Path) -> None:
    final = result(3000, 0, (1.0, 0.5), (0.5, 0.0))
    words = [command, *(str(write_run(tmp_path, name, final=final)) for name in ("a", "b"))]
    heavy = {"torch", "matplotlib", "scipy", "metaworld", "mujoco", "gymnasium", "pydantic"}
    code = f"import sys; from mtrl.cli.main import main; main({words!r}); print({heavy!r} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert rows(done.stdout)
    assert done.stdout.splitlines()[-1] == "set()"


def test_no_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 2
    assert capsys.readouterr().err == (
        "mtrl status: error: there is no folder runs here: go where the runs were trained, or name a folder\n"
    )
    assert main(["status", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"mtrl status: error: {tmp_path} holds no run: no config.yaml, no seed_<k>\n"


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """As methods of two sweeps have it, and a copy, or a run whose folder was renamed."""
    one, other = (write_run(tmp_path / sweep, "mean", steps=10_000) for sweep in ("s", "t"))
    alone = write_run(tmp_path / "t", "pcgrad", steps=10_000)
    states = run_state.read_states([one, other, alone], pytest.fail)
    assert [state.name for state in states] == [str(one), str(other), "pcgrad/seed_0"]


def test_a_trial_that_failed_is_no_interrupted_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path, steps=10_000)
    (folder / "failure.json").write_text('{"reason": "the loss is not finite", "trace": ""}')
    (folder / "lock").touch()
    state = read_state(folder)
    assert (state.state, state.failure) == ("failed", "the loss is not finite")
    with locked(folder):  # it is tried again
        assert read_state(folder).state == "running"
    (folder / "evaluation.json").write_text(json.dumps(result(10_000, 0, (0.5, 1.0), (0.5, 1.0))))
    state = read_state(folder)
    assert (state.state, state.failure) == ("finished", "")
