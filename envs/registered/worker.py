"""What runs inside a worker process of registered environments."""

import base64
import os
import pickle
import traceback
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, final

import gymnasium
import numpy as np

from mtrl.envs.interface import TaskError
from mtrl.envs.registered.registry import SUITE, first_observation, import_suite, success_of, vector
from mtrl.envs.workers import protocol
from mtrl.envs.workers.serving import Obey, serve

_LEADING = ("mtrl.envs.", "gymnasium.")
"""Modules through which a step comes to an environment of somebody's own."""


@final
class Environment:
    """One registered environment and its row, whose observation and action may be longer than its own."""

    def __init__(self, task: Mapping[str, Any], row: np.void) -> None:
        self._task, self._has_success = task["name"], task["has_success"]
        self._row, self._observed, self._acted = row, slice(task["observation"]), slice(task["action"])
        if self._task.startswith(SUITE):
            import_suite()
        self._env = gymnasium.make(pickle.loads(base64.b64decode(task["spec"])), disable_env_checker=True)
        space = self._env.action_space
        self._low, self._high, self._dtype = space.low.astype(float), space.high.astype(float), space.dtype

    def obey(self, command: bytes) -> None:
        """Carry out a command. Raises TaskError if the environment raises."""
        try:
            if command == protocol.RESET:
                self._reset()
            elif self._row["active"]:
                self._step()
        except Exception as error:
            raise _told(self._task, error) from error

    def close(self) -> None:
        """Let the environment end what it has begun: processes, threads, windows."""
        self._env.close()

    def _reset(self) -> None:
        self._row["obs"][self._observed] = first_observation(self._env, int(self._row["start"]))

    def _step(self) -> None:
        row = self._row
        share = (np.clip(row["action"][self._acted].astype(float), -1.0, 1.0) + 1.0) / 2.0
        action = self._low + share * (self._high - self._low)
        action = np.clip(action, self._low, self._high).astype(self._dtype)  # rounding may lead beyond
        obs, row["reward"], row["terminated"], row["truncated"], info = self._env.step(action)
        row["next_obs"][self._observed] = vector(self._env.observation_space, obs)
        success = success_of(info)
        row["success"] = self._has_success and bool(success)
        if success is not None and not self._has_success:
            self._has_success = True  # said once
            warnings.warn(f"{self._task} tells of success only late: it is taken as a task without it", stacklevel=1)
        if row["terminated"] or row["truncated"] or row["last"]:
            self._reset()


def _told(task: str, error: Exception) -> TaskError:
    """What an environment raised, in one line, and its traceback without the frames that lead to its code."""
    own = error.__traceback__
    while own and own.tb_frame.f_globals.get("__name__", "").startswith(_LEADING):
        own = own.tb_next
    message = " ".join(str(error).split())
    if own:
        file = own.tb_frame.f_code.co_filename
        line = [line for frame, line in traceback.walk_tb(own) if frame.f_code.co_filename == file][-1]
        message = f"raised {type(error).__name__}: {message} ({os.path.basename(file)}, line {line})"
    told = TaskError(f"{task} {message}")
    told.add_note("".join(traceback.format_exception(type(error), error, own or error.__traceback__)).rstrip())
    return told


def main(specification: str) -> None:
    """Serve the parent that wrote this: JSON of `backend`'s share and what `process.Worker` adds."""
    serve(specification, _build)


def _build(spec: dict[str, Any], table: np.ndarray, closing: ExitStack) -> Obey:
    environments = []
    for row, task in zip(spec["rows"], spec["row_tasks"], strict=True):
        environments.append(environment := Environment(spec["specs"][task], table[row]))
        closing.callback(environment.close)

    def obey(command: bytes) -> None:
        for environment in environments:
            environment.obey(command)

    return obey
