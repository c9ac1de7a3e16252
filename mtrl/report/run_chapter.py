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
    common = [
        i
        for i, column in enumerate(runs.columns)
        if column.key not in _ALWAYS and len({row[i] for row in runs.rows}) == 1
    ]
    first = runs.texts[0]
    facts = [(runs.columns[i].title, first[i]) for i in common if runs.rows[0][i] is not None]
    kept = [i for i in range(len(runs.columns)) if i not in common]
    own = replace(
        runs,
        columns=[runs.columns[i] for i in kept],
        rows=[[row[i] for i in kept] for row in runs.rows],
        title="Each run",
    )
    links = [(f"{path.parts[-4]}/{path.parts[-1]}", os.path.relpath(path, out)) for path in videos]
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
