"""A script with its options: in this process, where all that it imports is there already, or in one of its own."""

import contextlib
import importlib
import io
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    """As `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def script(name: str, *words: object) -> Done:
    """What `python -m scripts.NAME` with these words does and says, in the project's folder."""
    main = importlib.import_module(f"scripts.{name}").main
    out, err, status, threads = io.StringIO(), io.StringIO(), 0, torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patched.chdir(ROOT)
        try:
            main([*map(str, words)])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            torch.set_num_threads(threads)
    return Done(status, out.getvalue(), err.getvalue())


def process(name: str, *words: object, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """As `script`, in a process of its own, and as if the modules `without` were not installed."""
    hide = f"import sys, runpy; sys.modules.update(dict.fromkeys({without!r})); import importlib.util as u; "
    hide += (
        f"find = u.find_spec; u.find_spec = lambda name, *rest: None if name in {without!r} else find(name, *rest); "
    )
    run = f"runpy.run_module('scripts.{name}', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", hide + run, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
