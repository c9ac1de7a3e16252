"""Run folders and the files in them: found and parsed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtrl.protocols import EVALUATION_FILES
from mtrl.runs.errors import UserError
from mtrl.runs.event_check import check_evaluation
from mtrl.runs.events import Evaluation, Start, Train
from mtrl.runs.files import read_regular
from mtrl.runs.json_text import parse_json
from mtrl.runs.metrics_file import Warn, read_lines
from mtrl.runs.yaml_file import MOST_BYTES, parse_yaml

Record = Mapping[str, Any]

SINGLE_TASK = "single_task"
"""In place of a method in a supervised run: a model of its own for each task."""
FAILURE = "failure.json"
"""In the folders of a sweep's trial that failed: why."""
_MOST_BYTES = 1 << 24
"""Of an evaluation."""
_LEFT = (FAILURE, "metrics.jsonl", "checkpoints", *EVALUATION_FILES.values())
"""What tells that there was a run; one that merely begins has none of it before its `config.yaml`."""


@dataclass(frozen=True)
class RunFiles:
    """What `config.yaml` and `metrics.jsonl` of a run hold."""

    config: Record
    starts: list[Start]
    """The `start` events, one at least: a resumed run has several."""
    train: list[Train]
    evaluations: list[Evaluation]

    @property
    def start(self) -> Start:
        """The last of them."""
        return self.starts[-1]


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Run folders behind `paths`: each is one itself, or holds some named `seed_<k>`. Each comes once.

    Raises:
        UserError: there is none behind a path.
    """
    return _find(paths, _is_run)


def find_seeds(paths: Iterable[Path]) -> list[Path]:
    """As `find_runs`, and the seeds without a `config.yaml`, which cannot be read, so that none is missed unnamed.

    Raises:
        UserError: there is neither behind a path.
    """
    return _find(paths, is_seed)


def is_seed(path: Path) -> bool:
    """Whether a folder is a run's, what is left of one without its `config.yaml`, or one that this user may not see."""
    is_named = path.name.startswith("seed_")
    try:
        return _is_run(path) or (is_named and any((path / name).exists() for name in _LEFT))
    except OSError:
        if is_named:
            return True  # whoever reads it says why it cannot be read
        raise


def _find(paths: Iterable[Path], is_one: Callable[[Path], bool]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        candidates = [path] if is_one(path) else sorted(path.glob("seed_*"), key=_seed)
        inside = [candidate for candidate in candidates if is_one(candidate)]
        if not inside:
            raise UserError(f"{path} {_no_run(path)}")
        found |= {run.resolve(): run for run in inside}
    return list(found.values())


def _no_run(path: Path) -> str:
    """What a path is that no run is behind."""
    if not path.is_dir():
        return "is no folder"
    runs = sorted({config.parents[1] for config in path.glob("*/seed_*/config.yaml")})
    inside = f"; its folders do, such as {runs[0]}" if runs else ""
    return f"holds no run: no config.yaml, no seed_<k>{inside}"


def seed_folder(run: Path, seed: int | None) -> Path:
    """The folder of one seed.

    Args:
        run: a seed's folder, or a folder of seeds.
        seed: which; the first by default.

    Raises:
        UserError: there is no run, or no such seed.
    """
    folders = find_runs([run])
    if seed is None:
        return folders[0]
    for folder in folders:
        if folder.name == f"seed_{seed}":
            return folder
    raise UserError(f"--seed {seed}: {run} has {', '.join(folder.name for folder in folders)}")


def read_run_files(folder: Path, warn: Warn) -> RunFiles:
    """Read them; of a run still going, as far as it goes.

    Args:
        folder: the seed's folder.
        warn: is given a line for everything that had to be dropped.

    Raises:
        UserError: a file is missing or is not what a run writes.
    """
    config = read_config(folder)
    metrics = folder / "metrics.jsonl"
    with _read(metrics):
        events = [line.event for line in read_lines(metrics, warn)]
    starts = [event for event in events if event["kind"] == "start"]
    warn_of_seeds(folder, config, starts, warn)
    train = [event for event in events if event["kind"] == "train"]
    evaluations = [event for event in events if event["kind"] == "evaluation"]
    if not starts:
        raise UserError(f"{metrics} has no start line yet")
    return RunFiles(config, starts, train, evaluations)


def warn_of_seeds(folder: Path, config: Record, starts: Iterable[Start], warn: Warn) -> None:
    """Say it where a run's log is of other seeds than its `config.yaml`: one of them is not the run's."""
    seeds = config.get("seeds")
    others = [str(seed) for seed in dict.fromkeys(start["seed"] for start in starts) if [seed] != seeds]
    if isinstance(seeds, list) and others:
        mine = ", ".join(map(str, seeds))
        warn(f"{folder}: config.yaml is of seed {mine}, metrics.jsonl of seed {', '.join(others)}")


def parse_file(path: Path, parser: Callable[[bytes], Any], most: int = _MOST_BYTES) -> Any:
    """What a parser makes of a file's content.

    Raises:
        UserError: it cannot be read, is too large, or is not what the parser expects.
    """
    with _read(path):
        return parser(read_regular(path, most))


def read_config(folder: Path) -> Record:
    """The `config.yaml` of a run.

    Raises:
        UserError: it cannot be read, or is no run's.
    """
    path = folder / "config.yaml"
    with _read(path):
        is_there = path.exists()
    if not is_there and (why := failure(folder)):
        raise UserError(f"{folder} has no {path.name}; it failed: {why}")
    config = parse_file(path, lambda content: parse_yaml(content.decode("utf-8")), MOST_BYTES)
    sections = ("env", "agent", "training", "evaluation", "method", "benchmark")
    if not isinstance(config, dict) or not isinstance(config.get("name"), str):
        raise UserError(f"{path} is not as a run writes it: it needs a name")
    if other := next((name for name in sections if not isinstance(config.get(name, {}), dict)), None):
        raise UserError(f"{path} is not as a run writes it: {other} must be a section of keys")
    return config


def failure(folder: Path) -> str | None:
    """Why the trial that a folder is of has failed, in one line; None if it has not."""
    with suppress(UserError, KeyError, TypeError):
        return str(parse_file(folder / FAILURE, parse_json)["reason"])
    return None


def read_evaluation_record(path: Path) -> Record:
    """The content of an `evaluation.json`.

    Raises:
        UserError: it cannot be read, or is none.
    """
    record = parse_file(path, parse_json)
    with as_written(path):
        return check_evaluation(record)


def read_own_evaluation_record(path: Path, seed: int, warn: Warn) -> Record | None:
    """The content of the `evaluation.json` of a run with this seed; None, and a warning, if it is of another.

    Raises:
        UserError: it cannot be read, or is none.
    """
    record = read_evaluation_record(path)
    if (other := record.get("seed", seed)) == seed:
        return record
    warn(f"{path} is of seed {other}, and of a run of seed {seed}: left out")
    return None


def is_of_all_epochs(record: Record, epochs: int) -> bool:
    """Whether an evaluation is of the whole of a supervised run of so many epochs, or of one that its rule ended."""
    return bool(record["checkpoint"]["epoch"] == epochs or record["protocol"].get("epochs") == epochs)


def is_supervised(folder: Path) -> bool | None:
    """Whether a run folder is one of supervised learning; None if its configuration cannot be read."""
    try:
        return "benchmark" in read_config(folder)
    except UserError:
        return None


@contextmanager
def _read(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """What is done within reads what a run wrote at this path.

    Raises:
        UserError: it is not as a run writes it.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is not as a run writes it: {reason}") from error


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


def _seed(path: Path) -> tuple[int, str]:
    number = path.name.removeprefix("seed_")
    return (int(number) if number.isdecimal() else -1, path.name)
