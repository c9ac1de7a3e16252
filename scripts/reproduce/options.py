"""What all the scripts can be told."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.options import check_counts

ROOT = Path(__file__).parents[2]


def parser(doc: str | None, *, seeds: Sequence[int] = (0, 1, 2), jobs: int = 1) -> argparse.ArgumentParser:
    """The options that all these scripts have.

    Args:
        doc: the script's docstring; its first line is the help.
        seeds: by default; fixed before the first run.
        jobs: by default.
    """
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help=f"default: {' '.join(map(str, seeds))}")
    made.add_argument("--jobs", type=int, default=jobs, help=f"runs at a time, default {jobs}")
    made.add_argument("--threads", type=int, default=1, help="of each run, default 1")
    made.add_argument("--runs", type=Path, help="folder of the runs, default runs/reproduce")
    made.add_argument("--out", type=Path, help="folder of the results, default results")
    made.add_argument("--smoke", action="store_true", help="a tiny version, in a temporary folder if none is given")
    return made


def parse(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with folders; the working directory is the project's from here on, so that commands are short."""
    options = made.parse_args(arguments)
    check_counts(made, options, "jobs", "threads")
    if len(set(options.seeds)) < len(options.seeds):
        made.error(f"--seeds need to differ, got {' '.join(map(str, options.seeds))}")
    if options.smoke and not (options.runs and options.out):
        folder = Path(tempfile.mkdtemp(prefix="mtrl-smoke-"))
        options.runs, options.out = options.runs or folder / "runs", options.out or folder / "results"
    for name, default in (("runs", "runs/reproduce"), ("out", "results")):
        given = getattr(options, name)
        setattr(options, name, Path(default) if given is None else given.expanduser().absolute())
    if getattr(options, "data", None) is not None:
        options.data = options.data.expanduser().absolute()
        if not options.data.is_dir():
            made.error(f"--data needs a folder, got {options.data}")
    os.chdir(ROOT)
    return options
