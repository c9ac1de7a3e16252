"""One recorded episode, to be replayed on stock Meta-World."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

_NOTHING = 1e-6  # between an observation and its replay, m


class Episode(NamedTuple):
    """What was done, and where its film goes."""

    task: str
    goal_index: int
    goal: np.ndarray
    """Goal vector, `[3 or 6]`."""
    reward_version: Literal["v2", "v1"]
    actions: np.ndarray
    """`[H, 4]` float32."""
    last_obs: np.ndarray
    """`[39 or more]`: what the last action saw."""
    path: Path


def check_same(episode: Episode, obs: np.ndarray) -> None:
    """Hand and objects are where the recorded policy saw them; goal and one-hot may have been hidden or added.

    Args:
        episode: that is replayed.
        obs: what its last action sees in the replay.

    Raises:
        RuntimeError: the replay is not the recorded episode.
    """
    difference = np.abs(obs[:18] - episode.last_obs[:18]).max()
    if difference > _NOTHING:
        raise RuntimeError(
            f"the replay of {episode.task}, goal {episode.goal_index}, is another episode: "
            f"observations differ by {difference:.1e}"
        )
