"""A report folder, made from run folders."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mtrl.report.curves import mean_curve_png, task_curves_png
from mtrl.report.groups import read_groups
from mtrl.report.runs import ReportError, Warn
from mtrl.report.tables import SuccessTable, success_csv, success_markdown, success_table


@dataclass(frozen=True)
class Report:
    """What was written."""

    folder: Path
    files: tuple[Path, ...]
    table: SuccessTable | None
    """None if no run has an evaluation."""


def write_report(paths: Iterable[Path], out: Path, warn: Warn) -> Report:
    """Write `success.md`, `success.csv`, `curve.png` and `curve_per_task.png` into `out`.

    Each file is replaced whole or not at all; nothing else in the folder is touched.

    Args:
        paths: run folders `seed_<k>`, or folders of some.
        out: made if need be.
        warn: is given a line for everything that is left out; the report lists it too.

    Raises:
        ReportError: there is no run to report, or `out` is a file.
    """
    warnings: list[str] = []

    def note(line: str) -> None:
        warnings.append(line)
        warn(line)

    if out.exists() and not out.is_dir():
        raise ReportError(f"the report needs a folder, {out} is a file")
    groups = read_groups(paths, note)
    table = success_table(groups)
    contents = {
        "success.md": success_markdown(table, groups, warnings).encode(),
        "success.csv": success_csv(table).encode(),
        "curve.png": mean_curve_png(groups),
        "curve_per_task.png": task_curves_png(groups),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        _replace(out / name, content)
    return Report(out, tuple(out / name for name in contents), table)


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
