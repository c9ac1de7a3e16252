"""Sweeps on the processes of this machine: whatever happens to them, the results are those of undisturbed runs."""

import json
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from mtrl.cli.main import main
from mtrl.runs.claim import attempts
from mtrl.runs.policy_only import has_policy_only
from mtrl.sweep.reach import record_failure
from tests.cli.running import until
from tests.sweep.conftest import Start
from tests.sweep.small_sweeps import (
    LONG,
    Undisturbed,
    assert_equal_bits,
    base,
    content,
    folder,
    holder,
    log_lines,
    steps,
    trials_of,
    write_sweep,
)


def sweep(path: Path, *words: str) -> int:
    return main(["sweep", str(path), "--out", str(path.parent / "runs"), *words])


def own(err: str) -> list[str]:
    """The lines that are not of the report."""
    return [line for line in err.splitlines() if line.startswith("mtrl sweep: ")]


def test_killed_stopped_and_killed_again_it_ends_with_the_bits_of_undisturbed_runs(
    tmp_path: Path, start: Start, undisturbed: Undisturbed, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_sweep(tmp_path, LONG, seeds=1, keep="policy")
    mean, pcgrad = folder(path, "mean", 0), folder(path, "pcgrad", 0)

    # A worker is killed: its trial goes on in another process.
    running = start(path, "--jobs", "1")
    until(lambda: steps(mean) > 0)
    os.kill(holder(mean), signal.SIGKILL)
    before = steps(mean)
    until(lambda: steps(mean) > before)
    # Ctrl-C writes a checkpoint and leaves no process behind.
    os.killpg(running.process.pid, signal.SIGINT)
    status, out, err = running.ended()
    assert (status, err) == (130, [])
    until(lambda: not running.processes())
    assert any("mean/seed_0: died: its process was killed by signal 9, perhaps for want" in line for line in out)
    assert "s: stopping, with checkpoints" in out
    assert out[-1].startswith("2 trials are to be done. To go on: mtrl sweep ")
    assert LONG > steps(mean) >= before

    # The driver is killed: no process stays, and the same command goes on.
    running = start(path, "--jobs", "1")
    stood = steps(mean)
    until(lambda: steps(mean) > stood)
    running.process.kill()
    until(lambda: running.processes() <= {running.process.pid})
    assert not (mean / "evaluation.json").exists()

    assert sweep(path, "--jobs", "1") == 0
    assert "Report: " in capsys.readouterr().out
    for run in (mean, pcgrad):
        alone = undisturbed(path, run.parent.name, 0)
        assert_equal_bits(run, alone)
        assert log_lines(run) == log_lines(alone)
        assert has_policy_only(run / "checkpoints")
    assert (path.parent / "runs" / "s" / "report" / "success.csv").exists()

    # All is finished: nothing is done.
    seen = content(tmp_path / "runs")
    assert sweep(path) == 0
    changed = {name for name, stat in content(tmp_path / "runs").items() if seen.get(name) != stat}
    assert changed <= {"s/lock"}


def test_one_fails_by_itself_the_others_go_on_and_it_is_tried_again_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variants = {"good": {}, "nan": {"agent.learning_rate": 1e30}}
    path = write_sweep(tmp_path, methods=["mean"], seeds=1, variants=variants)
    assert sweep(path, "--jobs", "1") == 1
    output = capsys.readouterr()
    told = "mtrl sweep: error: mean-nan/seed_0: the actor loss of task PointEast-v0, seed 0, is not finite at step "
    first, last = own(output.err)
    assert first.startswith(told)
    assert last == "mtrl sweep: 1 failed; --retry-failed tries them again"
    assert (folder(path, "mean-good", 0) / "evaluation.json").exists()
    record = json.loads((folder(path, "mean-nan", 0) / "failure.json").read_text())
    assert record["reason"].startswith(told.partition("seed_0: ")[2])

    seen = content(tmp_path / "runs")
    assert sweep(path) == 1  # without another attempt
    assert own(capsys.readouterr().err) == [first, last]
    assert {name for name, stat in content(tmp_path / "runs").items() if seen.get(name) != stat} <= {"s/lock"}
    attempt = (folder(path, "mean-nan", 0) / "attempt").read_text()
    assert sweep(path, "--retry-failed", "--only", "*nan*") == 1
    assert (folder(path, "mean-nan", 0) / "attempt").read_text() != attempt


def test_where_nothing_can_be_written_it_says_so_and_goes_on_later(
    tmp_path: Path, start: Start, undisturbed: Undisturbed
) -> None:
    """No file may be larger than half a checkpoint."""
    path = write_sweep(tmp_path, methods=["mean"], seeds=2)
    size = 20_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    status, out, err = start(path, "--jobs", "1", preexec_fn=limited).ended()
    run = folder(path, "mean", 0)
    assert status == 1
    told = f"mtrl sweep: error: no more trials were begun: cannot write in {run.absolute()}: File too large; "
    assert [line for line in err if line.startswith(told)]
    assert out[-1].startswith("2 trials are to be done. To go on: mtrl sweep ")
    assert not folder(path, "mean", 1).exists()
    assert not (run / "failure.json").exists()
    assert sweep(path, "--jobs", "1") == 0
    assert_equal_bits(run, undisturbed(path, "mean", 0))


def test_supervised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "toy.yaml").write_text("{benchmark: {name: toy, steps_per_epoch: 3}, epochs: 2}")
    path = write_sweep(tmp_path, base="toy.yaml", methods=["mean", "mgda"], seeds=1)
    assert sweep(path, "--jobs", "1") == 0
    assert (tmp_path / "runs" / "s" / "report" / "metrics.csv").exists()
    capsys.readouterr()
    assert sweep(path, "--dry-run") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "seed_0" in line]
    assert [row.split("|")[2].strip() for row in rows] == ["finished", "finished"]


def test_seeds_in_one_process(tmp_path: Path) -> None:
    """As the ordinary command trains them, with the same two together."""
    path = write_sweep(tmp_path, methods=["mean"], seeds=2, resources={"seeds_together": 2})
    assert sweep(path, "--jobs", "1") == 0
    words = ["--seeds", "0", "1", "--name", "mean", "--out", str(tmp_path / "alone"), "--training.seeds_at_once", "2"]
    assert main(["train", str(tmp_path / "base.yaml"), "--method.name", "mean", *words]) == 0
    for seed in (0, 1):
        assert_equal_bits(folder(path, "mean", seed), tmp_path / "alone" / "mean" / f"seed_{seed}")
        assert attempts(folder(path, "mean", seed)) == 1


def test_tasks_without_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a limit of their own, as the evaluation's horizon is not given."""
    tree = base(320) | {"env": {"tasks": ["Pendulum-v1"], "horizon": 20, "num_workers": 1}}
    (tmp_path / "pendulum.yaml").write_text(yaml.safe_dump(tree | {"evaluation": {"episodes": 2}}))
    path = write_sweep(tmp_path, base="pendulum.yaml", methods=["mean"], seeds=1)
    assert sweep(path, "--jobs", "1") == 0
    printed = capsys.readouterr().out
    assert "return" in printed
    assert "success" not in printed.replace(str(tmp_path), "").lower()
    assert list((tmp_path / "runs" / "s" / "report").glob("*return*"))
    assert sweep(path) == 0
    assert "trials to do" not in capsys.readouterr().out
    assert attempts(folder(path, "mean", 0)) == 1


def test_the_report_is_of_all_trials_and_as_new_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = write_sweep(tmp_path, seeds=1), tmp_path / "runs" / "s" / "report"
    for method in ("mean", "pcgrad"):
        assert sweep(path, "--only", method) == 0
    both = (report / "success.csv").read_text()
    assert "mean" in both
    assert "pcgrad" in both

    # A trial had finished in a call that was interrupted: the page is older.
    (report / "success.csv").unlink()
    os.utime(report / "index.html", (0, 0))
    assert sweep(path) == 0
    assert (report / "success.csv").read_text() == both

    # A trial was put there that had finished elsewhere before the page was written.
    run = folder(path, "pcgrad", 0).parent
    run.rename(tmp_path / "pcgrad")
    os.utime(report / "index.html", (0, 0))
    assert sweep(path, "--only", "mean") == 0
    assert "pcgrad" not in (report / "success.csv").read_text()
    shutil.copytree(tmp_path / "pcgrad", run)
    for copied in run.rglob("*"):
        os.utime(copied, (0, 0))
    assert sweep(path, "--only", "mean") == 0
    assert (report / "success.csv").read_text() == both

    # What is to go on, or has other settings by now, is not compared.
    evaluation, config = (folder(path, "pcgrad", 0) / name for name in ("evaluation.json", "config.yaml"))
    evaluation.rename(tmp_path / "evaluation.json")
    os.utime(report / "index.html", (0, 0))
    assert sweep(path, "--only", "mean") == 0
    assert "pcgrad" not in (report / "success.csv").read_text()
    (tmp_path / "evaluation.json").rename(evaluation)
    tree = yaml.safe_load(config.read_text())
    tree["agent"]["discount"] = 0.5
    config.write_text(yaml.safe_dump(tree))
    os.utime(report / "index.html", (0, 0))
    capsys.readouterr()
    assert sweep(path, "--only", "mean") == 0
    assert "not in the report: " in capsys.readouterr().err
    assert "pcgrad" not in (report / "success.csv").read_text()

    # One that failed before it wrote anything is named on the page.
    shutil.rmtree(config.parent)
    record_failure(trials_of(path, tmp_path / "runs")[1], "out of memory", "")
    os.utime(report / "index.html", (0, 0))
    assert sweep(path) == 1
    named = f"left out: {config.parent} has no config.yaml; it failed: out of memory"
    assert f"warning: {named}" in capsys.readouterr().err
    assert named in (report / "success.md").read_text()


def test_a_folder_of_other_runs_is_refused_before_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path, methods=["mean"], seeds=1)
    assert sweep(path, "--jobs", "1") == 0
    path = write_sweep(tmp_path, methods=["mean"], seeds=2, changes={"agent.discount": 0.5})
    capsys.readouterr()
    assert sweep(path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("was made with another config: agent.discount is 0.99 there and 0.5 here")
    assert not folder(path, "mean", 1).exists()
