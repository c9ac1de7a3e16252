"""`mtrl agents`."""

from pathlib import Path

from mtrl.agents.config import Config
from mtrl.agents.shipped import shipped
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.protocols import EVALUATION_FILES, MODERN
from mtrl.report import evaluation_rows, markdown, read_evaluation
from mtrl.runs.folder import load_config
from mtrl.runs.reading import find_runs

_DOES = (
    "List the trained agents that come with mtrl. `mtrl evaluate`, `record` and `export` take their names, and "
    "`MultiTaskSAC.load` in Python."
)
_HEADER = ["agent", "seed", "method", "steps", "mean over tasks"]


def run(words: list[str]) -> int:
    """Print a table: a row for each seed."""
    OneLineParser("mtrl agents", _DOES).parse_args(words)
    rows = [_row(name, folder) for name, seeds in shipped().items() for folder in find_runs([seeds])]
    print(markdown(_HEADER, rows) if rows else "None comes with this version.")
    return 0


def _row(name: str, folder: Path) -> list[str]:
    config, result = load_config(folder, Config), read_evaluation(folder / EVALUATION_FILES[MODERN])
    (_, *measures, _), (*_, (_, *means, _)) = evaluation_rows(result)  # without names of tasks, numbers of episodes
    reached = "; ".join(f"{measure} {mean}" for measure, mean in zip(measures, means, strict=True))
    return [name, str(config.seeds[0]), config.method.name, f"{result.step:,}", reached]
