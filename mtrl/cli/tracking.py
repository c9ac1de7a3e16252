"""`--track`: the events of a run to Weights & Biases, under the names that they have in `metrics.jsonl`."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mtrl.extras import install
from mtrl.protocols import LEGACY
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event, Start
from mtrl.runs.section import RunConfig

_PROJECT = "mtrl"
_ID_FILE = "wandb_id"


class Tracker:
    """One tracked run; a context manager. A run folder that is resumed goes on in the same tracked run.

    `{"kind": "train", "success": {"reach-v3": 0.5}}` is logged as `success/reach-v3`. Evaluations are logged
    with `evaluation/` in front, because `return` is in both; the final one is in the summary under `final/`, or under
    `legacy/` if it has that protocol. The seeds of a run are a group, named after the run and its method; the method
    alone is the job type.
    """

    def __init__(self, config: RunConfig, seed: int, folder: Path) -> None:
        """Check that tracking is possible; the tracked run begins with the run's start event.

        Raises:
            UserError: wandb is not installed, or nobody is logged in and the mode is not offline.
        """
        try:
            import wandb  # an optional extra
        except ImportError as error:
            raise UserError(f"--track needs wandb: {install('track')}") from error
        self._wandb = wandb
        self._config, self._seed, self._folder = config, seed, folder
        self._run: Any = None
        if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
            raise UserError("--track needs `wandb login`, or WANDB_MODE=offline")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if error is None else 1)

    def update(self, event: Event) -> None:
        """Take one event of `mtrl.agents.train`."""
        if event["kind"] == "start":
            self._start(event)
        elif event["kind"] == "train":
            self._run.log(dict(flat(event)))
        elif event["kind"] == "evaluation":
            values = {f"evaluation/{name}": value for name, value in flat(event) if name != "step"}
            self._run.log({"step": event["step"], **values})

    def finish(self, result: Mapping[str, Any]) -> None:
        """Take the final evaluation, as in `evaluation.json`; nothing if the run was finished before."""
        if self._run is None:
            return
        tasks = {task["name"]: task for task in result["tasks"]}
        place = LEGACY if result.get("protocol", {}).get("name") == LEGACY else "final"
        for name, value in flat({"mean": result["mean"], **tasks}):
            self._run.summary[f"{place}/{name}"] = value

    def _start(self, event: Start) -> None:
        name, method = self._config.name, self._config.method.name
        chosen = {name: event[name] for name in ("precision",) if name in event}  # where the configuration says auto
        self._run = self._wandb.init(
            project=_PROJECT,
            group=f"{name}: {method}",
            job_type=method,
            name=f"{name}/seed_{self._seed}",
            id=self._id(),
            resume="allow",
            reinit="create_new",  # seeds side by side: a run each
            dir=self._folder,
            config=self._config.model_dump(mode="json") | {"seeds": [self._seed]} | chosen,
            settings=self._wandb.Settings(console="off", silent=True),
        )
        # The axis is a value, not wandb's own counter, which refuses the steps that a resumed run repeats.
        self._run.define_metric("*", step_metric="step")

    def _id(self) -> str:
        path = self._folder / _ID_FILE
        if not path.exists():
            path.write_text(secrets.token_hex(8))
        return path.read_text()


def flat(event: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested mappings, by their path with slashes."""
    for name, value in event.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
