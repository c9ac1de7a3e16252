"""MLflow."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrl.extras import install
from mtrl.nested import flat
from mtrl.runs.errors import UserError
from mtrl.runs.events import Start
from mtrl.runs.files import write_atomically
from mtrl.runs.lock import taking_turns
from mtrl.runs.section import RunConfig

DATABASE = "mlflow.db"
"""In the folder of all runs, where MLFLOW_TRACKING_URI names no other place."""
_EXPERIMENT = "mtrl"
_ID_FILE = "mlflow_id"
_NOT_IN_NAMES = re.compile(r"[^\w. :/-]")
_METRICS_AT_ONCE, _PARAMETERS_AT_ONCE = 1000, 100  # what MLflow takes


class MLflow:
    """A run of MLflow's for each seed, in the experiment `mtrl`, with the configuration as its parameters.

    See `Destination`. MLflow forgets nothing of a run, so one that goes on is a new one with what the old one had up
    to there, in its place. Names may have fewer characters than ours: the others become `_`.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(self, config: RunConfig, seed: int, folder: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves this machine unasked
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            import alembic  # noqa: F401  # with the next, what a database in a file needs beside MLflow
            import sqlalchemy  # noqa: F401
            from mlflow import MlflowClient, entities  # an optional extra
        except ImportError as error:
            raise UserError(f"--track mlflow needs mlflow: {install('mlflow')}") from error
        self._entities = entities
        self._config, self._seed, self._file = config.of_seed(seed), seed, folder / _ID_FILE
        out = Path(config.out).resolve()
        out.mkdir(parents=True, exist_ok=True)
        self._run = ""
        with taking_turns(out):  # seeds may begin at once, each in a process of its own
            place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out / DATABASE}"
            self._client = MlflowClient(place)
            there = self._client.get_experiment_by_name(_EXPERIMENT)
            self._experiment: str = there.experiment_id if there else self._client.create_experiment(_EXPERIMENT)

    def begin(self, start: Start) -> None:
        name, method = self._config.name, self._config.method.name
        tags = {"run": name, "method": method, "seed": str(self._seed)}
        new = self._client.create_run(self._experiment, run_name=f"{name}/seed_{self._seed}", tags=tags).info.run_id
        chosen = {"training.precision": start["precision"]} if "precision" in start else {}
        settings = flat(self._config.model_dump(mode="json")) | chosen
        parameters = [self._entities.Param(_name(key), str(value)) for key, value in settings.items()]
        for some in _parts(parameters, _PARAMETERS_AT_ONCE):
            self._client.log_batch(new, params=some)
        old, resumed_at = self._old(), start.get("resumed_at_step", 0)
        if old:
            self._log(new, [metric for metric in self._metrics(old) if metric.step <= resumed_at])
        write_atomically(self._file, new)
        if old:
            self._client.delete_run(old)
        self._run = new

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)  # in milliseconds
        self._log(self._run, [self._entities.Metric(_name(key), value, now, step) for key, value in values.items()])

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def end(self, failed: bool) -> None:
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")

    def lacks(self, step: int, name: str) -> bool:
        old = self._old()
        return bool(old) and all(metric.step != step for metric in self._client.get_metric_history(old, _name(name)))

    def _old(self) -> str:
        """The run that this one goes on from; empty if there is none, or it is not in this database."""
        old = self._file.read_text() if self._file.exists() else ""
        found = self._client.search_runs([self._experiment], f"attributes.run_id = '{old}'") if old else []
        return old if found else ""

    def _log(self, run: str, metrics: Sequence[Any]) -> None:
        for some in _parts(metrics, _METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=some)

    def _metrics(self, run: str) -> list[Any]:
        """All that a run has."""
        names = self._client.get_run(run).data.metrics
        return [metric for name in names for metric in self._client.get_metric_history(run, name)]


def _name(key: str) -> str:
    return _NOT_IN_NAMES.sub("_", key)


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
