"""`mtrl watch`: the report of runs that train meanwhile, really."""

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mtrl.cli import watch
from mtrl.cli.main import main
from tests.cli.conftest import POINTS
from tests.report.run_folders import result, start, train, write_run

COMMAND = "import sys; from mtrl.cli.main import main; sys.exit(main())"


def test_until_the_runs_are_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "points.yaml").write_text(POINTS)
    words = [
        "train",
        tmp_path / "points.yaml",
        "--name",
        "a",
        "--out",
        tmp_path,
        "--steps",
        "2400",
        "--seeds",
        "0",
        "1",
    ]
    folder = tmp_path / "a" / "seed_1"
    with subprocess.Popen([sys.executable, "-c", COMMAND, *map(str, words)], stdout=subprocess.DEVNULL) as training:
        while training.poll() is None and not (folder / "config.yaml").exists():
            time.sleep(0.05)
        assert main(["watch", str(tmp_path / "a"), "--out", str(tmp_path / "report"), "--every", "1"]) == 0
    assert training.returncode == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) >= 2
    assert " 2 running: " in lines[0]
    assert " 2 finished: " in lines[-1]
    assert captured.err == ""  # that a run has no evaluation yet is no news
    table = (tmp_path / "report" / "success.csv").read_text()
    assert "PointEast-v0" in table  # the last report has the evaluations


def test_a_run_that_has_written_nothing_yet_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, waited = write_run(tmp_path, lines=[], steps=3000), threading.Event()
    rounds, refresh = itertools.count(1), watch._refresh

    def looked(*given: Any) -> None:
        refresh(*given)
        if next(rounds) == 2:
            waited.set()

    monkeypatch.setattr(watch, "_refresh", looked)

    def go_on() -> None:
        waited.wait(60)
        lines = [start(0), train(3000, 1.0, 0.5)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "evaluation.json").write_text(json.dumps(result(3000, 0, (1.0, 0.5), (0.5, 0.0))))

    training = threading.Thread(target=go_on)
    training.start()
    assert main(["watch", str(folder), "--out", str(tmp_path / "report"), "--every", "0.2"]) == 0
    training.join()
    captured = capsys.readouterr()
    assert captured.err.count("warning: no report yet: no run is left to report\n") == 1  # in two rounds
    assert captured.out.count("1 finished") == 1
    assert list((tmp_path / "report").iterdir())


def test_a_run_that_cannot_be_read_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "a", final=result(3000, 0, (1.0, 0.5), (0.5, 0.0)), steps=3000)
    bad = write_run(tmp_path, "b", steps=3000)
    (bad / "config.yaml").write_text("steps: 3000")
    assert main(["watch", str(tmp_path), "--out", str(tmp_path / "report"), "--every", "0.2"]) == 1
    captured = capsys.readouterr()
    line = f"left out: {bad / 'config.yaml'} is not as a run writes it: it needs a name"
    assert captured.err == f"warning: {line}\nmtrl watch: error: {line}\n"
    assert " 1 finished: " in captured.out
    assert main(["watch", str(bad), "--out", str(tmp_path / "report"), "--every", "0.2"]) == 1  # there is no other one
    problems = [line, "no report: no run is left to report"]
    assert capsys.readouterr().err.splitlines()[-2:] == [f"mtrl watch: error: {problem}" for problem in problems]


def test_a_trial_that_has_failed_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "a", final=result(3000, 0, (1.0, 0.5), (0.5, 0.0)), steps=3000)
    failed = write_run(tmp_path, "b", steps=10_000)
    (failed / "failure.json").write_text('{"reason": "the loss is not finite", "trace": ""}')
    (failed / "lock").touch()
    assert main(["watch", str(tmp_path), "--out", str(tmp_path / "report"), "--every", "0.2"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "mtrl watch: error: b/seed_0 has failed: the loss is not finite"
    assert " 1 finished, 1 failed: " in captured.out


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    write_run(tmp_path, steps=10_000)
    words = ["watch", tmp_path / "a", "--out", tmp_path / "report", "--every", "600"]
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            assert "1 running: " in watching.stdout.readline()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(timeout=30) == 0
        finally:
            watching.kill()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("nowhere --out r", "nowhere is no folder"),
        ("a --out r --every 0", "argument --every: must be a number of seconds above 0, got 0"),
        ("a --out r --every soon", "argument --every: must be a number of seconds above 0, got soon"),
        ("a", "the following arguments are required: --out"),
    ],
)
def test_failures_are_one_line(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", *words.split()]) == 2
    assert capsys.readouterr().err == f"mtrl watch: error: {line}\n"
