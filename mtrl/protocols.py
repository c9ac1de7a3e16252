"""The two protocols of evaluation, whose numbers stand in no common table, and where a run keeps what each gave."""

from pathlib import Path

__all__ = ["BIAS", "EVALUATION_FILES", "LEGACY", "MODERN", "evaluation_file"]

MODERN, LEGACY = "modern", "legacy"
EVALUATION_FILES = {MODERN: "evaluation.json", LEGACY: "evaluation-legacy.json"}
BIAS = "biased upwards, only to be read beside old tables: mtrl report --explain-legacy"
"""To be said wherever a number under protocol `legacy` is printed."""


def evaluation_file(folder: Path) -> Path:
    """The evaluation of a run that counts: that under `modern`; that under `legacy` if it is the only one."""
    paths = [folder / name for name in EVALUATION_FILES.values()]
    return next((path for path in paths if path.exists()), paths[0])
