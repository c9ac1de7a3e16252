"""What runs inside a worker process of registered environments."""

import base64
import pickle
from typing import Any, final

import gymnasium
import numpy as np

from mtrl.envs.workers import protocol
from mtrl.envs.workers.serving import Obey, serve


@final
class Environment:
    """One registered environment and its row."""

    def __init__(self, task: str, spec: Any, row: np.void) -> None:
        self._task = task
        self._row = row
        self._env = gymnasium.make(spec, disable_env_checker=True)
        space = self._env.action_space
        self._low, self._range, self._dtype = space.low.astype(float), space.high.astype(float) - space.low, space.dtype

    def obey(self, command: bytes) -> None:
        """Carry out a command; what the environment raises is told with its task's name."""
        try:
            if command == protocol.RESET:
                self._reset()
            elif self._row["active"]:
                self._step()
        except Exception as error:
            raise RuntimeError(f"{self._task}: {type(error).__name__}: {error}") from error

    def _reset(self) -> None:
        self._row["obs"] = self._env.reset(seed=int(self._row["start"]))[0]

    def _step(self) -> None:
        row = self._row
        share = (np.clip(row["action"].astype(float), -1.0, 1.0) + 1.0) / 2.0
        action = (self._low + share * self._range).astype(self._dtype)
        row["next_obs"], row["reward"], row["terminated"], row["truncated"], info = self._env.step(action)
        row["success"] = bool(info.get("success", info.get("is_success", False)))
        if row["terminated"] or row["truncated"] or row["last"]:
            self._reset()


def main(specification: str) -> None:
    """Serve the parent that wrote this: JSON of `backend`'s share and what `process.Worker` adds."""
    serve(specification, _build)


def _build(spec: dict[str, Any], table: np.ndarray) -> Obey:
    environments = [
        Environment(task, pickle.loads(base64.b64decode(spec["specs"][task])), table[row])
        for row, task in zip(spec["rows"], spec["row_tasks"], strict=True)
    ]

    def obey(command: bytes) -> None:
        for environment in environments:
            environment.obey(command)

    return obey
