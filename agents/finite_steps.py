"""What a task gives are finite numbers: of others no average, no loss and no line of a log can be made."""

from collections.abc import Sequence

import numpy as np

from mtrl import envs
from mtrl.runs.errors import UserError


class StepError(UserError):
    """A task gave a reward or an observation that is no finite number."""


def check_step(tasks: Sequence[str], step: envs.Step) -> None:
    """Refuses a step of which a reward or an observation is infinite or NaN, as float32: what is learned of.

    Raises:
        StepError: names the task.
    """
    _check(tasks, "reward", step.reward)
    check_observation(tasks, step.next_obs)
    check_observation(tasks, step.obs)


def check_observation(tasks: Sequence[str], observation: np.ndarray) -> None:
    """The same of observations alone, `[T, E, O]`.

    Raises:
        StepError: names the task.
    """
    _check(tasks, "observation", observation)


def _check(tasks: Sequence[str], what: str, values: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(values.astype(np.float32))
    if bad.any():
        raise StepError(f"task {tasks[bad.nonzero()[0][0]]} gave the {what} {values[bad][0]}, which is not finite")
