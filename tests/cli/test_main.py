"""The command: exit status, one line for each failure, tables on the screen."""

import errno
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

import mtrl
from mtrl.cli.failures import reason
from mtrl.cli.main import main
from mtrl.runs.errors import UserError
from tests.cli.conftest import POINTS
from tests.cli.running import Running
from tests.report.run_folders import result, write_run

ROOT = Path(__file__).parents[2]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "mtrl COMMAND --help" in capsys.readouterr().out
    assert main([]) == 2
    capsys.readouterr()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mtrl {mtrl.__version__}\n"
    assert main(["train", "--help"]) == 0
    assert "--agent.critic.width INT" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        "sweep",
        "evaluate",
        "status",
        "watch",
        "report",
        "compare",
        "record",
        "convert",
        "configs",
        "export",
        "agents",
        "push",
        "completion",
    ],
)
def test_help_of_the_small_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: mtrl {command}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mtrl.cli.main import main; main(['--help']); "
        "print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_log_of_training_says_that_it_is_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("")
    said: list[str] = []

    def slow(name: str) -> ModuleType:
        while not said or said[-1].count("\n") < 2:  # it says so again
            said.append("".join(said[-1:]) + capsys.readouterr().out)
        return ModuleType(name)

    monkeypatch.setattr("mtrl.cli.main._LOADING_S", 0.01)
    monkeypatch.setattr("mtrl.cli.main._QUIET_S", 0.01)
    monkeypatch.setattr("mtrl.cli.main.importlib.import_module", slow)
    with pytest.raises(AttributeError, match="run"):
        main(["train", "x.yaml"])
    assert set(said[-1].splitlines()) == {"mtrl train: loading PyTorch"}


@pytest.mark.parametrize("word", ["--help", "--print-config"])
def test_what_is_printed_to_be_read_stands_alone(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("")

    def slow(name: str) -> ModuleType:
        time.sleep(0.2)
        return ModuleType(name)

    monkeypatch.setattr("mtrl.cli.main._LOADING_S", 0.01)
    monkeypatch.setattr("mtrl.cli.main.importlib.import_module", slow)
    with pytest.raises(AttributeError, match="run"):
        main(["train", "x.yaml", word])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["train", "supervised"])
@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("none.yaml", "none.yaml: No such file or directory"),
        ("/dev/null", "/dev/null is no configuration: not a regular file"),
        ("mt10/quik", "mt10/quik is neither a file nor a configuration that comes with mtrl; did you mean mt10/quick?"),
    ],
)
def test_a_file_that_is_none_is_told_before_pytorch_is_loaded(command: str, word: str, line: str) -> None:
    code = (
        "import sys; from mtrl.cli.main import main; "
        f"status = main({[command, word]!r}); sys.exit(3 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"mtrl {command}: error: {line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "fit x.yaml",
            "mtrl: error: unknown command 'fit'; there are train, supervised, sweep, evaluate, status, watch, "
            "report, compare, record, convert, configs, agents, export, push, completion",
        ),
        ("trian x.yaml", "mtrl: error: unknown command 'trian'; did you mean train?"),
        ("sttus runs", "mtrl: error: unknown command 'sttus'; did you mean status?"),
        ("train", "mtrl train: error: one configuration file is needed, e.g. mt10/quick"),
        ("train none.yaml", "mtrl train: error: none.yaml: No such file or directory"),
        (
            "train sweep.yaml",
            "mtrl train: error: sweep.yaml has a base, as the file of a sweep: `mtrl sweep sweep.yaml` carries it out",
        ),
        ("train x.yaml --stepz 3", "mtrl train: error: --stepz: unknown option; did you mean --steps?"),
        ("train x.yaml --steps 0", "mtrl train: error: --steps must be greater than 0, got 0"),
        ("evaluate", "mtrl evaluate: error: the following arguments are required: RUN"),
        ("evaluate nowhere.d", "mtrl evaluate: error: nowhere.d is no folder"),
        ("evaluate .", "mtrl evaluate: error: . holds no run: no config.yaml, no seed_<k>"),
        (
            "evaluate a --episodes 0",
            "mtrl evaluate: error: argument --episodes: must be a whole number above 0, got 0",
        ),
        ("compare runs/a", "mtrl compare: error: the following arguments are required: OTHER"),
        ("report", "mtrl report: error: the following arguments are required: RUN, --out"),
        ("report nowhere --out r", "mtrl report: error: nowhere is no folder"),
        ("report a --out x.yaml", "mtrl report: error: the report needs a folder, x.yaml is a file"),
    ],
)
def test_failures_are_one_line(
    words: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("")
    Path("sweep.yaml").write_text("{name: a, base: mt10/quick, seeds: 2}")
    write_run(Path("runs"))
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err == line + "\n"
    assert captured.out == ""


def test_unknown_task_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("env: {tasks: [reach-v3, psuh-v3]}")
    assert main(["train", "x.yaml"]) == 2
    assert capsys.readouterr().err == (
        "mtrl train: error: env.tasks: unknown task 'psuh-v3'; the closest is 'push-v3'\n"
    )
    assert not Path("runs").exists()


def test_an_environment_that_raises_shows_its_own_code_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = "tests.agents.bad_rewards:Raising-v0"
    (tmp_path / "x.yaml").write_text(POINTS.replace("tasks: Points", f"tasks: [{task}]"))
    assert main(["train", str(tmp_path / "x.yaml"), "--name", "a", "--out", str(tmp_path)]) == 2
    trace, line = capsys.readouterr().err[:-1].rsplit("\n", 1)
    raised = rf"{task} raised KeyError: 'a wheel' \(bad_rewards.py, line \d+\)"
    assert re.fullmatch(rf"mtrl train: error: {raised} at step 40: stopped; no checkpoint was written yet", line)
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("raise KeyError(\"a wheel\")\nKeyError: 'a wheel'")
    assert trace.count("File") == 1


def test_a_report_that_could_not_be_drawn_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "x.yaml").write_text(POINTS)
    (tmp_path / "y.yaml").write_text("{name: b, base: x.yaml, seeds: 2}")
    for command in ("train x.yaml", "sweep y.yaml"):
        name, file = command.split()
        assert main([name, str(tmp_path / file), "--out", str(tmp_path / "runs")]) == 2
        hint = "the package matplotlib is missing: pip install 'mtrl-torch[rl]'"
        assert capsys.readouterr().err == f"mtrl {name}: error: {hint}\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("command", "config"), [("train", "name: a"), ("supervised", "{name: a, benchmark: {name: toy}}")]
)
def test_an_existing_run_of_any_seed_stops_the_command_at_once(
    command: str, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(config)
    write_run(Path("runs"), "a", seed=1)
    assert main([command, "x.yaml", "--seeds", "0", "1"]) == 2
    assert capsys.readouterr().err == (
        f"mtrl {command}: error: run runs/a/seed_1 exists and is never overwritten: "
        "add --resume, or choose another --name or --out\n"
    )
    assert not Path("runs/a/seed_0").exists()


def test_report_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        write_run(tmp_path, seed=seed, final=result(3000, seed, (1.0, 0.5), (0.5, 0.0)))
    write_run(tmp_path, seed=2)
    assert main(["report", str(tmp_path / "a"), "--out", str(tmp_path / "report")]) == 0
    captured = capsys.readouterr()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in captured.out.splitlines()]
    assert ["reach-v3", "1.00", "0.50"] in rows
    assert ["mean", "0.75", "0.25"] in rows
    assert "a: 2 seeds, so no interval" in captured.out
    assert "Simulator metaworld (metaworld 3.1.1, mujoco 3.3.0)" in captured.out
    assert str(tmp_path / "report" / "index.html") in captured.out
    assert captured.err == (
        f"warning: {tmp_path / 'a' / 'seed_2'} has no evaluation: it is in the curves, not in the table\n"
    )


def test_which_failures_are_the_users() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "runs/a")
    assert reason(UserError("one line")) == "one line"
    assert reason(full) == "runs/a: No space left on device"
    assert reason(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    assert reason(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) == "x: No such file or directory"
    assert reason(ValueError("a defect of ours")) is None
    away = OSError(errno.EIO, "Input/output error", "runs/a")
    assert reason(away) == "runs/a: Input/output error"
    assert reason(OSError(errno.EBADF, "Bad file descriptor")) is None
    missing = ModuleNotFoundError("No module named 'rich.table'", name="rich.table")
    assert reason(missing) == "the package rich is missing: pip install 'mtrl-torch[rl]'"
    assert reason(missing, "supervised") == "the package rich is missing: pip install 'mtrl-torch[supervised]'"
    assert reason(missing, "report") == "the package rich is missing: pip install 'mtrl-torch[report]'"
    other = ModuleNotFoundError("No module named 'stable_baselines3'", name="stable_baselines3")
    assert reason(other) == "the package stable_baselines3 is missing: pip install 'mtrl-torch[baselines]'"
    theirs = ModuleNotFoundError("No module named 'my_tasks'", name="my_tasks")
    assert reason(theirs) == "the package my_tasks is missing"
    told = ModuleNotFoundError("envpool needs its extra", name="envpool")
    assert reason(told) == "envpool needs its extra"
    assert reason(ModuleNotFoundError("No module named 'mtrl.gone'", name="mtrl.gone")) is None


def test_a_job_that_ends_within_the_evaluation_says_how_to_go_on(tmp_path: Path) -> None:
    """A scheduler ends a job with SIGTERM."""
    (tmp_path / "points.yaml").write_text(POINTS)
    words = shlex.split(f"train {tmp_path}/points.yaml --out {tmp_path} --steps 320 --evaluation.episodes 100000")
    running = Running(words)
    try:
        assert running.process.stdout
        assert any("evaluating" in line for line in iter(running.process.stdout.readline, ""))
        running.process.terminate()
        status, out, err = running.ended()
    finally:
        running.end()
    assert (status, out[-1:], err) == (130, [f"Interrupted. To go on: mtrl {shlex.join(words)} --resume"], [])
