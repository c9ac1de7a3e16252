"""A report folder, made from run folders."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mtrl.report.contents import LATEX, PAGE, Contents, Shown
from mtrl.report.metric_report import metric_report
from mtrl.report.success_report import success_report
from mtrl.runs.errors import UserError, disk_errors
from mtrl.runs.reading import Warn, find_seeds, is_supervised

_LISTED = b"<!-- files: %s -->\n"
"""The end of the page: the names of all files that were written."""


@dataclass(frozen=True)
class Report:
    """A report that was written: its folder and files, and the tables for the screen."""

    folder: Path
    files: tuple[Path, ...]
    """The page first."""
    tables: tuple[Shown, ...]
    """One for each measure and set of tasks; none if no run has an evaluation."""


def write_report(paths: Iterable[Path], out: Path, warn: Warn, *, with_latex: bool = False) -> Report:
    """Write the report of runs into `out`.

    `index.html` has everything; each table is a file `.md` and `.csv`, each plot one `.png` and `.svg`, besides. All of
    reinforcement learning is in `success.md` and `success.csv`, all of supervised learning in `metrics.md` and
    `metrics.csv`. Each file is replaced whole or not at all. Those that the report there before had besides are
    removed, as the page lists them; nothing else in the folder is touched.

    Args:
        paths: run folders `seed_<k>`, or folders of some.
        out: made if need be.
        warn: is given a line for everything that is left out; the report lists it too.
        with_latex: each table is a file `.tex`, too, for booktabs.

    Raises:
        UserError: there is no run to report, runs of both kinds are given, `out` is a file, or the disk takes no more.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"the report needs a folder, {out} is a file")
    shown, contents = read_report(paths, out, warn)
    files = {name: content for name, content in contents.files().items() if with_latex or not name.endswith(LATEX)}
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        before = _written_before(out / PAGE)
        files[PAGE] += _LISTED % json.dumps(sorted(files)).encode()
        _replace(out / PAGE, files.pop(PAGE))
        for name in before - {PAGE, *files}:
            (out / name).unlink(missing_ok=True)
        for name, content in files.items():
            _replace(out / name, content)
    return Report(out, tuple(out / name for name in (PAGE, *files)), tuple(shown))


def read_report(paths: Iterable[Path], out: Path, warn: Warn) -> tuple[list[Shown], Contents]:
    """What `write_report` shows on the screen, and what its files are made of; nothing is drawn or written."""
    folders = find_seeds(paths)
    kinds = {folder: is_supervised(folder) for folder in folders}  # those of no kind are left out, whatever it is
    supervised, others = ([folder for folder in folders if kinds[folder] is kind] for kind in (True, False))
    if supervised and others:
        raise UserError(
            f"{supervised[0]} is a supervised run and {others[0]} is none: a report is of one kind, call it for each"
        )
    make = metric_report if supervised else success_report
    warnings: list[str] = []
    return make(folders, out, warnings, _noting(warnings, warn))


def _written_before(page: Path) -> set[str]:
    """The files of the report that is there, by the list at the end of its page; none if there is no such list."""
    start, end = _LISTED.split(b"%s")
    try:
        listed = json.loads(page.read_bytes().rpartition(start)[2].removesuffix(end))
    except (OSError, ValueError):
        return set()
    return {name for name in listed if isinstance(name, str) and (page.parent / name).parent == page.parent}


def _noting(warnings: list[str], warn: Warn) -> Warn:
    """Tells and keeps each line."""

    def note(line: str) -> None:
        warnings.append(line)
        warn(line)

    return note


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename, so that no reader and no full disk sees half a file."""
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(beside, 0o644)  # mkstemp gives 0o600; a report is for others too
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
