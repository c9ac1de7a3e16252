"""Recorded episodes as a data set of Minari, for offline reinforcement learning.

Runs in a process of its own, and so imports neither torch nor the command.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from minari import create_dataset_from_buffers
from minari.data_collector import EpisodeBuffer

from mtrl.envs.metaworld.recorded_episode import Episode, check_same
from mtrl.envs.metaworld.rendering import stock_environment


def name_of(task: str) -> str:
    """The data set's name, for `minari.load_dataset`."""
    return f"mtrl/{task}/policy-v0"


def write_dataset(episodes: Sequence[Episode], root: Path, description: str) -> float:
    """Replays the episodes of one task and writes what came of them.

    Observations are stock Meta-World's, with the goal; `infos` has `success` of each step, and of the reset before them
    false. No episode terminates: each is truncated at its last step.

    Args:
        episodes: of the task.
        root: what MINARI_DATASETS_PATH must be to load it.
        description: for the data set.

    Returns:
        The mean return.

    Raises:
        RuntimeError: a replay is not the recorded episode.
    """
    first = episodes[0]
    spaces = stock_environment(first.task, first.goal, first.reward_version)
    buffers = [_replayed(episode, number) for number, episode in enumerate(episodes)]
    os.environ["MINARI_DATASETS_PATH"] = str(root)
    create_dataset_from_buffers(
        name_of(first.task),
        buffers,
        observation_space=spaces.observation_space,
        action_space=spaces.action_space,
        algorithm_name="multi-task SAC",
        description=description,
        requirements=["metaworld==3.1.1"],
        data_format="hdf5",
    )
    return float(np.mean([sum(buffer.rewards) for buffer in buffers]))


def _replayed(episode: Episode, number: int) -> EpisodeBuffer:
    env = stock_environment(episode.task, episode.goal, episode.reward_version)
    observation, _ = env.reset()  # as it is: resets do not depend on what was before
    observations, rewards, success = [observation], [], [False]
    for step, action in enumerate(episode.actions, 1):
        if step == len(episode.actions):
            check_same(episode, observations[-1])
        observation, reward, _, _, info = env.step(action)
        observations.append(observation)
        rewards.append(float(reward))
        success.append(bool(info["success"]))
    ended = np.arange(len(rewards)) == len(rewards) - 1
    return EpisodeBuffer(
        id=number,
        observations=np.stack(observations),
        actions=episode.actions,
        rewards=rewards,
        terminations=[False] * len(rewards),
        truncations=ended.tolist(),
        infos={"success": np.array(success)},
    )
