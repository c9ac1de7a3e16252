"""TensorBoard's event files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrl.extras import install
from mtrl.runs.errors import UserError
from mtrl.runs.events import Start
from mtrl.runs.section import RunConfig
from mtrl.runs.yaml_file import dump_yaml

FOLDER = "tensorboard"
"""In the run's folder; `tensorboard --logdir runs` finds those of all runs."""


class TensorBoard:
    """A scalar for each name, and the configuration as text. See `Destination`.

    Raises:
        UserError: tensorboard is not installed.
    """

    def __init__(self, config: RunConfig, seed: int, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # needs an optional extra
        except ImportError as error:
            raise UserError(f"--track tensorboard needs tensorboard: {install('track')}") from error
        self._make = SummaryWriter
        self._config, self._folder = config.of_seed(seed), folder / FOLDER
        self._writer: Any = None

    def begin(self, start: Start) -> None:
        resumed = start.get("resumed_at_step")
        # TensorBoard forgets what it has of this step and later ones, also where a run that was killed begins anew.
        self._writer = self._make(str(self._folder), purge_step=0 if resumed is None else resumed + 1)
        if resumed is None:
            text = dump_yaml(self._config.model_dump(mode="json"))
            self._writer.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # what is looked at is up to date, and a run that is killed has lost nothing

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        self.log(step, values)

    def end(self, failed: bool) -> None:
        self._writer.close()

    def lacks(self, step: int, name: str) -> bool:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        if not self._folder.exists():
            return False
        events = EventAccumulator(str(self._folder), size_guidance={"scalars": 0})
        events.Reload()
        return name not in events.Tags()["scalars"] or all(event.step != step for event in events.Scalars(name))
