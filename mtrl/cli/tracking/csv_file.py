"""A CSV file, for which no package is needed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from mtrl.runs.claim import check_claim
from mtrl.runs.events import Start
from mtrl.runs.files import write_atomically
from mtrl.runs.section import RunConfig

FILE = "track.csv"
"""In the run's folder."""
_HEADER = "step,name,value\n"


class CsvFile:
    """A line for each value: `pandas.read_csv(path).pivot(index="step", columns="name")`. See `Destination`."""

    def __init__(self, config: RunConfig, seed: int, folder: Path) -> None:
        self._path = folder / FILE

    def begin(self, start: Start) -> None:
        kept = _until(self._path, start.get("resumed_at_step", 0)) if self._path.exists() else ""
        write_atomically(self._path, _HEADER + kept)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((step, name, value) for name, value in values.items())
        check_claim(self._path)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def end(self, failed: bool) -> None:
        """Every line is written already."""

    def lacks(self, step: int, name: str) -> bool:
        if not self._path.exists():
            return False
        with self._path.open(encoding="utf-8", newline="") as file:
            return [str(step), name] not in (row[:2] for row in csv.reader(file))


def _until(path: Path, step: int) -> str:
    """The file's whole lines up to a step, that one included."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        first = line.partition(",")[0]
        if line.endswith("\n") and first.isdecimal() and int(first) <= step:
            kept.append(line)
    return "".join(kept)
