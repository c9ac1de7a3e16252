"""Runs in; one page, with its tables and plots as files, out."""

import importlib.util
from typing import TYPE_CHECKING, Any

from mtrl.report.success_runs import Evaluation, parse_evaluation, read_evaluation
from mtrl.report.success_table import caption, evaluation_rows
from mtrl.report.table import markdown

if TYPE_CHECKING:
    from mtrl.report.contents import Shown
    from mtrl.report.write import Report, write_report

__all__ = [
    "Evaluation",
    "Report",
    "Shown",
    "caption",
    "check_drawing",
    "evaluation_rows",
    "markdown",
    "parse_evaluation",
    "read_evaluation",
    "write_report",
]


def check_drawing() -> None:
    """Asks for what draws a report, without loading it: who trains first learns now that it is not there.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")


def __getattr__(name: str) -> Any:
    # On demand: who reads runs and prints tables does not wait for matplotlib and torch.
    if name in ("Report", "Shown", "write_report"):
        from mtrl.report import write

        return getattr(write, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
