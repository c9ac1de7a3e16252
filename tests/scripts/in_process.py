"""A script with its options, in this process: an interpreter of its own would import all that is here already."""

import contextlib
import importlib
import io
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
