"""The core's tests with the lowest versions that pyproject.toml allows: `python -m scripts.lowest [pytest arguments]`.

.venv/lowest is made of them, once for each set of bounds. PyTorch is that of .venv, and so are the tools of the tests:
the lower bound of PyTorch is checked only where somebody installs that version.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from scripts.install import ROOT, Installation, InstallError, alone
from scripts.offline_bundle import requirements

EXTRAS = ("report", "rl", "supervised", "track", "video", "export", "reference", "hub")
"""Those whose packages do not bring a PyTorch of their own choice."""
FOLDER = ROOT / ".venv/lowest"
TESTS = (
    *("tests/test_conflict.py", "tests/test_statistics.py", "tests/aggregation/test_closed_forms.py"),
    *("tests/aggregation/test_make.py", "tests/aggregation/test_losses.py", "tests/aggregation/test_oracles.py"),
    *("tests/gradients/test_backward.py", "tests/gradients/test_misuse.py", "tests/gradients/test_factors.py"),
    *("tests/cli/test_arguments.py", "tests/report/test_power.py", "tests/report/test_returns.py"),
    "tests/runs/test_policy_only.py",
)
"""The core's, and a few of what needs the extras: configurations, a report, a run that is trained and evaluated."""


def main(words: list[str]) -> int:
    """Installs where that is needed, and runs the tests; 0 where uv, which finds the versions, cannot be had."""
    try:
        with alone(ROOT) as lock:
            python = installed(Installation(ROOT, "all", lock))
    except InstallError as error:
        print(f"lowest: {error}", file=sys.stderr)
        return 2
    if python is None:
        print("lowest: not checked, for uv cannot be had", file=sys.stderr)
        return 0
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [str(python), "-m", "pytest", *(words or ("--numprocesses", "auto", *TESTS))]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def installed(all_of_it: Installation) -> Path | None:
    """The interpreter of `FOLDER`, which has the packages; None without uv."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = {word for extra in EXTRAS for word in requirements(extra)} | set(project["dependencies"])
    wanted = sorted(word for word in words if not word.startswith("torch"))
    mark = hashlib.sha256("\n".join([sys.version, *EXTRAS, *wanted]).encode()).hexdigest()
    stamp, python = FOLDER / "installed", FOLDER / "bin/python"
    if stamp.exists() and stamp.read_text() == mark:
        return python
    if not (uv := all_of_it.uv()):
        return None
    stamp.unlink(missing_ok=True)
    make = [sys.executable, "-m", "venv", "--without-pip", "--clear", str(FOLDER)]
    all_of_it.part("making .venv/lowest", make)
    install = [uv[0], "pip", "install", "--quiet", "--python", str(python)]
    lowest = ["--resolution", "lowest-direct", "--only-binary", ":all:"]
    all_of_it.part("the lowest versions", [*install, *lowest, *wanted], all_of_it.same_index())
    (site,) = (FOLDER / "lib").glob("python*/site-packages")
    (site / "there.pth").write_text(sysconfig.get_paths()["purelib"])  # comes behind what is here
    stamp.write_text(mark)
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
