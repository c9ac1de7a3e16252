"""The chapter on the runs: what all have in common, where they differ, their settings, their videos."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mtrl.report.contents import chapter
from mtrl.report.page import Chapter, Facts, Folded, Links
from mtrl.report.table import Table

_ALWAYS = ("run", "seed", "steps", "epochs", "minutes")


def run_chapter(runs: Table, config: Table | None, videos: Iterable[Path], out: Path, suffix: str) -> Chapter:
    """Of one set of runs; `runs` has a row each."""
    first, texts = runs.rows[0], runs.texts[0]
    is_common = [
        column.key not in _ALWAYS and len({row[i] for row in runs.rows}) == 1 for i, column in enumerate(runs.columns)
    ]
    facts = [
        (column.title, text)
        for column, text, cell, common in zip(runs.columns, texts, first, is_common, strict=True)
        if common and cell is not None
    ]
    columns = [replace(column, is_on_page=not common) for column, common in zip(runs.columns, is_common, strict=True)]
    own = replace(runs, columns=columns, title="Each run")
    links = [("/".join(path.parts[-5:]), os.path.relpath(path, out)) for path in videos]
    return chapter(
        "Runs",
        [
            config,
            Facts("The same in all runs", facts) if facts else None,
            Folded("Each run", [own]) if len(own.rows) > 12 else own,
            Links("Videos", links) if links else None,
        ],
        suffix,
    )
