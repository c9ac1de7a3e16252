"""The set-up: its layers, what it does twice, after an interruption, and where uv cannot be had.

What is installed comes from a stand-in for Python, pip and uv that writes down what it was asked for.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.install import LAYERS

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
VERSION = sys.version.split()[0]

PROGRAM = f"""#!{sys.executable}
# Stands for .venv's Python and for uv.
import os, sys, time
from pathlib import Path
name, *words = [Path(sys.argv[0]).name, *sys.argv[1:]]
line = " ".join([name, *words])
log = Path(os.environ["FAKE_LOG"])
if "import pip, sys" in line:
    print(os.environ.get("FAKE_PYTHON", {VERSION!r}))
elif "m.version('torch')" in line:
    print(Path(log.parent / "torch").read_text() if (log.parent / "torch").exists() else "2.0.0+cpu")
elif "config list" in line:
    print(os.environ.get("FAKE_CONFIG", ""))
else:
    pins = [Path(words[i + 1]).read_text() for i, word in enumerate(words) if word == "--constraint"]
    index = os.environ.get("UV_DEFAULT_INDEX", "")
    with log.open("a") as file:
        file.write(" | ".join([line, *pins, index]).replace(chr(10), " ") + chr(10))
    if "--target" in words and not os.environ.get("FAKE_NO_UV"):
        command = Path(words[words.index("--target") + 1]) / "bin" / "uv"
        command.parent.mkdir(parents=True)
        command.write_text(Path(sys.argv[0]).read_text())
        command.chmod(0o755)
    time.sleep(float(os.environ.get("FAKE_SLEEP", 0)))
    if name == "uv" and os.environ.get("FAKE_UV_REPLACES"):
        (log.parent / "torch").write_text("2.0.0")
    sys.exit(int(os.environ.get("FAKE_UV_STATUS", 0)) if name == "uv" else 0)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone's files that the set-up reads, and no uv on PATH."""
    root = tmp_path / "clone"
    (root / "scripts").mkdir(parents=True)
    (root / "scripts" / "install.py").write_text((SCRIPTS / "install.py").read_text())
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "constraints.txt").write_text("numpy==1.0\ntorch==2.0.0\n")
    # `python -m venv` of this stand-in for the module makes the stand-in for Python.
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "venv.py").write_text(
        "import sys, pathlib\n"
        "python = pathlib.Path(sys.argv[-1]) / 'bin' / 'python'\n"
        "(python.parents[1] / 'installed').unlink(missing_ok=True)\n"
        "python.parent.mkdir(parents=True, exist_ok=True)\n"
        f"python.write_text({PROGRAM!r})\n"
        "python.chmod(0o755)\n"
        f"open({str(tmp_path / 'log')!r}, 'a').write('venv\\n')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.setenv("PATH", str(tmp_path / "commands"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return root


def start(root: Path, layer: str, **environment: str) -> "subprocess.Popen[str]":
    words = [sys.executable, str(root / "scripts" / "install.py"), layer]
    return subprocess.Popen(
        words, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def install(root: Path, layer: str, status: int = 0, **environment: str) -> tuple[list[str], str]:
    """What was asked for, a line each, and what was told."""
    log = root.parent / "log"
    log.write_text("")
    process = start(root, layer, **environment)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == status, told
    return log.read_text().splitlines(), told


def test_a_layer_is_installed_once_and_the_larger_adds_to_it(project: Path) -> None:
    venv, torch, uv, rest = install(project, "train")[0]
    assert venv == "venv"
    assert torch.startswith("python -m pip")
    assert "torch==2.0.0 | numpy==1.0 torch==2.0.0" in torch
    assert "--no-compile" in torch
    assert uv.startswith("python -m pip")
    assert rest.startswith("uv pip install")
    assert f"--editable {project}[rl] | numpy==1.0 torch==2.0.0+cpu" in rest
    assert install(project, "train") == ([], "")

    torch, rest = install(project, "all")[0]
    assert "torch==2.0.0" in torch
    assert f"{project}[{LAYERS['all']}] |" in rest
    assert install(project, "all") == ([], "")
    assert install(project, "train") == ([], "")


@pytest.mark.parametrize("file", ["constraints.txt", "pyproject.toml"])
def test_other_pins_install_again_into_what_is_there(project: Path, file: str) -> None:
    install(project, "train")
    with (project / file).open("a") as opened:
        opened.write("# more\n")
    commands, _ = install(project, "train")
    assert [command.split()[0] for command in commands] == ["python", "uv"]


def test_a_clone_that_was_moved_installs_again(project: Path) -> None:
    install(project, "train")
    moved = project.rename(project.parent / "moved")
    assert f"--editable {moved}[rl]" in install(moved, "train")[0][-1]


def test_one_of_another_python_begins_anew(project: Path) -> None:
    install(project, "train")
    stamp = project / ".venv" / "installed"
    stamp.write_text(stamp.read_text().replace(VERSION, "3.0.0"))
    assert install(project, "train", FAKE_PYTHON="3.0.0")[0][0] == "venv"


def test_an_interrupted_one_begins_anew(project: Path) -> None:
    install(project, "train")
    stamp = project / ".venv" / "installed"
    stamp.write_text("installing")
    assert install(project, "train")[0][0] == "venv"
    assert stamp.read_text().split()[-1] == "train"


def test_ctrl_c_and_a_failure_leave_no_stamp(project: Path) -> None:
    process = start(project, "train", FAKE_SLEEP="30")
    wait_for(lambda: "torch==" in (project.parent / "log").read_text(), process)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.endswith("setup: interrupted; run again, it begins anew\n")
    assert (project / ".venv" / "installed").read_text() == "installing"
    assert install(project, "train")[0][0] == "venv"


def test_of_two_at_once_one_waits_and_finds_the_work_done(project: Path) -> None:
    first = start(project, "train", FAKE_SLEEP="1")
    wait_for((project.parent / "log").exists, first)
    second = start(project, "train")
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "waiting for another set-up" in outputs[1]
    assert (project.parent / "log").read_text().count("[rl]") == 1


def test_what_was_started_holds_the_lock_when_its_parent_is_killed(project: Path) -> None:
    first = start(project, "train", FAKE_SLEEP="2")
    wait_for(lambda: "torch==" in (project.parent / "log").read_text(), first)
    first.kill()
    first.wait()
    assert "waiting for another set-up" in install(project, "train")[1]


def test_the_users_uv_is_taken(project: Path) -> None:
    command = project.parent / "commands" / "uv"
    command.parent.mkdir()
    command.write_text(PROGRAM)
    command.chmod(0o755)
    commands, _ = install(project, "train")
    assert [line.split()[0] for line in commands] == ["venv", "python", "uv"]


@pytest.mark.parametrize("environment", [{"FAKE_NO_UV": "1"}, {"FAKE_UV_STATUS": "1"}])
def test_without_uv_pip_installs(project: Path, environment: dict[str, str]) -> None:
    commands, told = install(project, "train", 0, **environment)
    assert commands[-1].startswith("python -m pip")
    assert f"--editable {project}[rl] | numpy==1.0 torch==2.0.0+cpu" in commands[-1]
    assert "by pip, which takes minutes" in told


@pytest.mark.parametrize("own", [{}, {"UV_DEFAULT_INDEX": "https://c"}])
def test_uv_looks_where_pip_does_unless_it_is_told_where(project: Path, own: dict[str, str]) -> None:
    config = "global.extra-index-url='https://b'\nglobal.index-url='https://a/simple'\n"
    expected = own.get("UV_DEFAULT_INDEX", "https://a/simple")
    assert install(project, "train", 0, FAKE_CONFIG=config, **own)[0][-1].endswith(f"| {expected}")


def test_a_replaced_torch_is_a_failure(project: Path) -> None:
    told = install(project, "train", status=2, FAKE_UV_REPLACES="1")[1]
    assert "torch 2.0.0+cpu was replaced by 2.0.0" in told
    assert (project / ".venv" / "installed").read_text() == "installing"


def test_where_python_writes_no_bytecode_all_is_compiled(project: Path) -> None:
    *_, rest = install(project, "train", PYTHONDONTWRITEBYTECODE="1")[0]
    assert "--compile-bytecode" in rest


def test_a_long_part_is_never_silent(project: Path) -> None:
    script = project / "scripts" / "install.py"
    script.write_text(script.read_text().replace("HEARTBEAT_S = 20", "HEARTBEAT_S = 0.2"))
    told = install(project, "train", FAKE_SLEEP="0.7")[1]
    assert "setup: PyTorch (torch==2.0.0)\nsetup: PyTorch (torch==2.0.0), 0 s so far\n" in told


def test_the_set_up_is_silent_for_less_than_half_a_minute() -> None:
    assert "HEARTBEAT_S = 20\n" in (SCRIPTS / "install.py").read_text()


@pytest.mark.parametrize(("script", "layer"), [("train.sh", "train"), ("test.sh", "all")])
def test_scripts_ask_for_their_layer(script: str, layer: str) -> None:
    assert f'/setup.sh" {layer}\n' in (SCRIPTS / script).read_text()


def wait_for(done, process: "subprocess.Popen[str]", timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and process.poll() is None:
        try:
            if done():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    raise AssertionError("did not come so far")
