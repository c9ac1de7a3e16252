"""A report folder, made from run folders."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mtrl.report.curves import mean_curve_png, task_curves_png
from mtrl.report.groups import read_groups
from mtrl.report.metric_curves import metric_curves_png
from mtrl.report.metric_runs import is_supervised, read_metric_groups
from mtrl.report.metric_table import metric_rows, metric_table, metrics_csv, metrics_markdown
from mtrl.report.runs import ReportError, Warn, find_runs
from mtrl.report.tables import header_and_rows, success_csv, success_markdown, success_table


@dataclass(frozen=True)
class Shown:
    """The table as text, for the screen."""

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Report:
    """What was written."""

    folder: Path
    files: tuple[Path, ...]
    table: Shown | None
    """None if no run has an evaluation."""


Contents = dict[str, bytes]


def write_report(paths: Iterable[Path], out: Path, warn: Warn) -> Report:
    """Write the report of runs into `out`.

    Reinforcement learning: `success.md`, `success.csv`, `curve.png`, `curve_per_task.png`; supervised learning:
    `metrics.md`, `metrics.csv`, `curves.png`. Each file is replaced whole or not at all; nothing else in the folder is
    touched.

    Args:
        paths: run folders `seed_<k>`, or folders of some.
        out: made if need be.
        warn: is given a line for everything that is left out; the report lists it too.

    Raises:
        ReportError: there is no run to report, runs of both kinds are given, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise ReportError(f"the report needs a folder, {out} is a file")
    folders = find_runs(paths)
    supervised = [folder for folder in folders if is_supervised(folder)]
    if supervised and len(supervised) < len(folders):
        other = next(folder for folder in folders if folder not in supervised)
        raise ReportError(
            f"{supervised[0]} is a supervised run and {other} is none: a report is of one kind, call it for each"
        )
    table, contents = (_metrics if supervised else _success)(folders, warn)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        _replace(out / name, content)
    return Report(out, tuple(out / name for name in contents), table)


def _success(folders: list[Path], warn: Warn) -> tuple[Shown | None, Contents]:
    """Of reinforcement learning."""
    warnings: list[str] = []
    groups = read_groups(folders, _noting(warnings, warn))
    table = success_table(groups)
    contents = {
        "success.md": success_markdown(table, groups, warnings).encode(),
        "success.csv": success_csv(table).encode(),
        "curve.png": mean_curve_png(groups),
        "curve_per_task.png": task_curves_png(groups),
    }
    if table is None:
        return None, contents
    title = f"Success, mean over seeds ({', '.join(f'{c.name}: {c.seeds}' for c in table.columns)})"
    return Shown(title, *header_and_rows(table), "\n".join([table.caption, *table.notes])), contents


def _metrics(folders: list[Path], warn: Warn) -> tuple[Shown | None, Contents]:
    """Of supervised learning."""
    warnings: list[str] = []
    note = _noting(warnings, warn)
    groups = read_metric_groups(folders, note)
    table = metric_table(groups, note)
    contents = {
        "metrics.md": metrics_markdown(table, groups, warnings).encode(),
        "metrics.csv": metrics_csv(table).encode(),
        "curves.png": metric_curves_png(groups),
    }
    if table is None:
        return None, contents
    title = f"Metrics, mean over seeds ({', '.join(f'{c.name}: {c.seeds}' for c in table.columns)})"
    return Shown(title, *metric_rows(table), f"{table.caption}\n{table.baseline.note}"), contents


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
