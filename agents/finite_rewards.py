"""Rewards are finite numbers: of others no average, no loss and no line of a log can be made."""

from collections.abc import Sequence

import numpy as np

from mtrl.runs.errors import UserError


class RewardError(UserError):
    """A task gave a reward that is no finite number."""


def check_rewards(tasks: Sequence[str], reward: np.ndarray) -> None:
    """Refuses the rewards `[T, E]` of a step if one of them is infinite or NaN.

    Raises:
        RewardError: names the task.
    """
    bad = ~np.isfinite(reward)
    if bad.any():
        raise RewardError(f"task {tasks[bad.nonzero()[0][0]]} gave the reward {reward[bad][0]}, which is not finite")
