"""What software made a result."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import mtrl

PACKAGES = ("torch", "numpy", "metaworld", "mujoco", "gymnasium", "envpool")


def packages() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers, those that are installed."""
    found = {"python": platform.python_version(), "mtrl": mtrl.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of this source tree, with `+changes` if it is not clean; None outside a repository."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
