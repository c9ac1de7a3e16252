"""What is tracked of a run's events: the same names and units in every tracker."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from mtrl.cli import screen
from mtrl.cli.tracking.csv_file import CsvFile
from mtrl.cli.tracking.mlflow_runs import MLflow
from mtrl.cli.tracking.tensorboard_files import TensorBoard
from mtrl.cli.tracking.weights_and_biases import WeightsAndBiases
from mtrl.nested import flat
from mtrl.protocols import LEGACY
from mtrl.runs.claim import SupersededError
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event, Start
from mtrl.runs.metrics_file import read_events
from mtrl.runs.section import RunConfig, TrackerName


class Destination(Protocol):
    """Where the numbers of one seed of a run go.

    Made from the configuration, the seed and the run's folder, which is the time to say what is missing. A step is
    what the run counts: environment transitions summed over tasks, or the batches of a supervised run.
    """

    def begin(self, start: Start) -> None:
        """The run begins, or goes on: what was tracked after the step that it resumed at comes again."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name, of one step."""

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        """Values of the whole run, that ended at this step."""

    def end(self, failed: bool) -> None:
        """The last call, once it has begun."""

    def lacks(self, step: int, name: str) -> bool:
        """Whether there is a tracked run of the folder, but not this value of this step; asked before it begins."""


_DESTINATIONS: dict[TrackerName, Callable[[RunConfig, int, Path], Destination]] = {
    "wandb": WeightsAndBiases,
    "tensorboard": TensorBoard,
    "csv": CsvFile,
    "mlflow": MLflow,
}


class Tracker:
    """One tracked run of one seed; a context manager. A run folder that is resumed goes on in the same tracked run.

    `{"kind": "train", "success": {"reach-v3": 0.5}}` is logged as `success/reach-v3`. Evaluations are logged
    with `evaluation/` in front, because `return` is in both; the final one under `final/`, or under `legacy/` if it has
    that protocol.
    """

    def __init__(self, config: RunConfig, seed: int, folder: Path, warn: Callable[[str], None] = screen.warn) -> None:
        """Check that tracking is possible; the tracked run begins with the run's start event.

        Args:
            config: of the run.
            seed: which of its seeds.
            folder: of the seed.
            warn: is given a line where the tracker fails later on: it is told nothing more then, and training goes on.

        Raises:
            UserError: a package is not installed, nobody is logged in where that is needed, or the tracker fails.
        """
        self._config, self._seed, self._folder, self._warn = config, seed, folder, warn
        with _in_one_line(config):
            self._destination = _chosen(config)(config, seed, folder)
        self._step: int | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._step is not None:
            self._try(partial(self._destination.end, failed=error is not None))

    def update(self, event: Event) -> None:
        """Take one event of `mtrl.agents.train`, or of `mtrl.supervised.train`.

        Raises:
            UserError: the tracked run cannot begin.
        """
        if event["kind"] == "start":
            with _in_one_line(self._config):
                self._begin(event)
        elif event["kind"] == "train" or event["kind"] == "evaluation":
            before = "evaluation/" if event["kind"] == "evaluation" else ""
            self._step = event["step"]
            values = {f"{before}{name}": value for name, value in numbers(event).items() if name != "step"}
            self._try(partial(self._destination.log, event["step"], values))
        elif event["kind"] == "result":
            self.finish(event["record"])

    def finish(self, result: Mapping[str, Any]) -> None:
        """Take the final evaluation, as in `evaluation.json`; nothing if the tracked run has it already, or is none."""
        if "metrics" in result:  # of a supervised run
            found = {row["name"]: {"value": row["value"]} for row in result["metrics"]}
        else:
            found = {"mean": result["mean"], **{task["name"]: task for task in result["tasks"]}}
        place = LEGACY if result.get("protocol", {}).get("name") == LEGACY else "final"
        self._try(partial(self._summarize, {f"{place}/{name}": value for name, value in numbers(found).items()}))

    def _begin(self, start: Start) -> None:
        self._destination.begin(start)
        self._step = start.get("resumed_at_step", 0)

    def _summarize(self, values: Mapping[str, float]) -> None:
        if self._step is None:  # it was trained before, to its last step
            logged = read_events(self._folder / "metrics.jsonl", last=1)
            step = logged[-1].get("step", 0) if logged else 0
            if not self._destination.lacks(step, next(iter(values))):
                return
            self._begin({"kind": "start", "resumed_at_step": step})
        assert self._step is not None
        self._destination.summarize(self._step, values)

    def _try(self, act: Callable[[], None]) -> None:
        """Has the destination do something; one that fails is told nothing more, and training goes on."""
        if self._has_failed:
            return
        try:
            with _in_one_line(self._config):
                act()
        except SupersededError:
            raise
        except UserError as error:
            self._has_failed = True
            self._warn(f"seed {self._seed} is no longer tracked: {error}")


def track_films(config: RunConfig, folder: Path, step: int, films: Mapping[str, Path]) -> bool:
    """Adds films to the tracked run of a folder; False if it is not tracked, or its tracker cannot show them.

    Args:
        config: of one seed.
        folder: of the run.
        step: of the policy that is filmed.
        films: MP4 files by name.

    Raises:
        UserError: as for `Tracker`.
    """
    if config.track is False or _chosen(config) is not WeightsAndBiases:
        return False
    with _in_one_line(config):
        destination = WeightsAndBiases(config, config.seeds[0], folder)
        destination.begin({"kind": "start", "resumed_at_step": step})
        for name, path in films.items():
            destination.film(step, f"film/{name}", path)
        destination.end(failed=False)
    return True


def numbers(tree: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of nested mappings, by their path with slashes."""
    return {name: value for name, value in flat(tree, separator="/").items() if isinstance(value, int | float)}


@contextmanager
def _in_one_line(config: RunConfig) -> Iterator[None]:
    """What a tracker raises within, whatever that is, is told in one line.

    Raises:
        UserError: in place of it.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"--track {config.track}: {reason}") from error


def _chosen(config: RunConfig) -> Callable[[RunConfig, int, Path], Destination]:
    if config.track is False:
        raise UserError("this run is not tracked: track is false")
    return _DESTINATIONS["wandb" if config.track is True else config.track]
