"""Weights & Biases."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrl.extras import install
from mtrl.runs.errors import UserError
from mtrl.runs.events import Start
from mtrl.runs.section import RunConfig

_PROJECT = "mtrl"
_ID_FILE = "wandb_id"


class WeightsAndBiases:
    """A run of wandb's. The seeds of a run are a group, named after it and its method; the method is the job type.

    See `Destination`. What is said of the whole run is in the summary.

    Raises:
        UserError: wandb is not installed, or nobody is logged in and the mode is not offline.
    """

    def __init__(self, config: RunConfig, seed: int, folder: Path) -> None:
        try:
            import wandb  # an optional extra
        except ImportError as error:
            raise UserError(f"--track needs wandb: {install('track')}") from error
        self._wandb = wandb
        self._config, self._seed, self._folder = config, seed, folder
        self._run: Any = None
        if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
            raise UserError("--track needs `wandb login`, or WANDB_MODE=offline")

    def begin(self, start: Start) -> None:
        name, method = self._config.name, self._config.method.name
        chosen = {name: start[name] for name in ("precision",) if name in start}  # where the configuration says auto
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

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def summarize(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._run.summary[name] = value

    def film(self, step: int, name: str, path: Path) -> None:
        """An MP4 of the policy of this step."""
        self._run.log({"step": step, name: self._wandb.Video(str(path), format="mp4")})

    def end(self, failed: bool) -> None:
        self._run.finish(exit_code=1 if failed else 0)

    def lacks(self, step: int, name: str) -> bool:
        return (self._folder / _ID_FILE).exists()  # a summary may be said again

    def _id(self) -> str:
        path = self._folder / _ID_FILE
        if not path.exists():
            path.write_text(secrets.token_hex(8))
        return path.read_text()
