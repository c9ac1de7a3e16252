"""Makes .venv and keeps it as pinned in constraints.txt; see setup.sh. Needs Python 3.11 with venv, nothing installed.

PyTorch comes by pip, which has it wherever pip is told to look, CPU builds too. The rest comes by uv, in a fraction of
pip's time, or by pip where uv cannot be had. uv is pinned to the PyTorch that is there and so cannot replace it.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {"train": "rl", "all": "rl,supervised,dmc,envpool,track,mlflow,minari,video,export,reference,ray,docs,dev"}
"""The extras of pyproject.toml in each; `all` has all of `train`."""
INSTALLING = "installing"
HEARTBEAT_S = 20


class InstallError(Exception):
    """Its text is the one line to show."""


def main() -> int:
    """Installs a layer, unless it is there."""
    layer = sys.argv[1]
    try:
        install(ROOT, layer)
    except InstallError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("interrupted; run again, it begins anew")
        return 130
    return 0


def install(root: Path, layer: str) -> None:
    """Makes `.venv` have the layer. Of two at once, one waits and then finds the work done.

    Raises:
        InstallError: names what could not be installed.
    """
    if is_installed(root, layer):
        return
    with alone(root) as lock:
        if not is_installed(root, layer):
            Installation(root, layer, lock).run()


def is_installed(root: Path, layer: str) -> bool:
    """Whether `.venv` is as wanted. A change of the pins, of this Python or of the place installs again."""
    return stamp(root) in (f"{wanted(root)} {layer}", f"{wanted(root)} all")


def stamp(root: Path) -> str:
    """What `.venv` was made for; empty if there is none."""
    with contextlib.suppress(OSError):
        return (root / ".venv/installed").read_text().strip()
    return ""


def wanted(root: Path) -> str:
    """What decides the content of `.venv`, its layer aside."""
    files = b"".join((root / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return f"{hashlib.sha256(files).hexdigest()} {sys.version.split()[0]} {root}"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[int]:
    """Waits until nobody else installs; what is started with the lock's descriptor holds it, too."""
    lock = os.open(root, os.O_RDONLY)
    try:
        since = told = time.monotonic()
        while not _take(lock):
            if time.monotonic() - told >= HEARTBEAT_S or told == since:
                told = time.monotonic()
                say(f"waiting for another set-up to end, {told - since:.0f} s")
            time.sleep(0.5)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this disk knows no locks
        return True
    return True


class Installation:
    """One installation.

    Args:
        root: of the project.
        layer: a key of `LAYERS`.
        lock: descriptor that what it starts inherits.
    """

    def __init__(self, root: Path, layer: str, lock: int) -> None:
        self.root, self.layer, self.lock = root, layer, lock
        self.venv = root / ".venv"
        self.python = self.venv / "bin/python"
        self.constraints = root / "constraints.txt"

    def run(self) -> None:
        """All of it; a line for each part that takes long."""
        start = time.monotonic()
        if not self.is_usable():
            self.part("making .venv", [sys.executable, "-m", "venv", "--clear", str(self.venv)])
        (self.venv / "installed").write_text(INSTALLING)
        torch = next(line for line in self.constraints.read_text().splitlines() if line.startswith("torch=="))
        self.part(f"PyTorch ({torch})", [*self.pip(), "--constraint", str(self.constraints), torch])
        self.install_project(self.torch_version())
        (self.venv / "installed").write_text(f"{wanted(self.root)} {self.layer}")
        say(f"done in {time.monotonic() - start:.0f} s")

    def is_usable(self) -> bool:
        """Not if an installation was interrupted, which may leave half a package, or if it is of another Python."""
        if stamp(self.root) in ("", INSTALLING):
            return False
        words = [str(self.python), "-c", "import pip, sys; print(sys.version.split()[0])"]
        with contextlib.suppress(OSError):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return done.returncode == 0 and done.stdout.strip() == sys.version.split()[0]
        return False

    def install_project(self, torch: str) -> None:
        """The project and the layer's extras, with this PyTorch."""
        what = {"train": "what the main job needs", "all": "what tests and other commands need"}[self.layer]
        extras = ["--editable", f"{self.root}[{LAYERS[self.layer]}]"]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
            lines = self.constraints.read_text().splitlines()
            pins.write("\n".join(f"torch=={torch}" if line.startswith("torch==") else line for line in lines))
            pins.flush()
            constrained = ["--constraint", pins.name, *extras]
            uv = self.uv()
            if not uv or not self.part(f"{what}, by uv", [*uv, *constrained], self.same_index(), may_fail=True):
                self.part(f"{what}, by pip, which takes minutes", [*self.pip(), *constrained])
        if (now := self.torch_version()) != torch:
            raise InstallError(f"torch {torch} was replaced by {now}: remove {self.venv} and report this")

    def torch_version(self) -> str:
        """The version of torch that is installed, with its build: `2.13.0+cpu`."""
        words = [str(self.python), "-c", "import importlib.metadata as m; print(m.version('torch'))"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def pip(self) -> list[str]:
        """Pip's command to install."""
        words = [str(self.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        return words + ([] if compiles() else ["--no-compile"])

    def uv(self) -> list[str]:
        """Uv's command to install: the user's, or one that is put beside the packages; empty if it cannot be had."""
        own = self.venv / "uv"
        command = shutil.which("uv") or str(own / "bin/uv")
        if not Path(command).exists():
            self.part("uv", [*self.pip(), "--target", str(own), "uv"], may_fail=True)
        if not Path(command).exists():
            return []
        words = [command, "pip", "install", "--quiet", "--python", str(self.python)]
        return words + (["--compile-bytecode"] if compiles() else [])

    def same_index(self) -> dict[str, str]:
        """Where pip looks for packages, in uv's words: a mirror, say."""
        if {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & os.environ.keys():
            return {}
        words = [str(self.python), "-m", "pip", "config", "list"]
        listed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
        found = re.findall(r"^[\w:-]+\.index-url='(.+)'$", listed, re.MULTILINE)
        return {"UV_DEFAULT_INDEX": found[-1]} if found else {}

    def part(
        self, what: str, command: list[str], more: Mapping[str, str] | None = None, *, may_fail: bool = False
    ) -> bool:
        """Runs a command, saying every now and then that it still runs; whether it succeeded.

        Args:
            what: it does.
            command: its words.
            more: environment variables.
            may_fail: is no failure of the whole.

        Raises:
            InstallError: it did not, and `may_fail` is false.
        """
        say(what)
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=self.root, pass_fds=[self.lock], env={**os.environ, **(more or {})})
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(HEARTBEAT_S)
                    break
                say(f"{what}, {time.monotonic() - start:.0f} s so far")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if status and not may_fail:
            raise InstallError(f"{what}: {Path(command[0]).name} failed (exit status {status}), see above")
        return status == 0


def compiles() -> bool:
    """Whether to compile all modules now: otherwise the first import of each does, of the few that are imported."""
    return sys.dont_write_bytecode


def say(line: str) -> None:
    """Tells how the set-up goes on."""
    print(f"setup: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
