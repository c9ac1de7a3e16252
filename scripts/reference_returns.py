"""Returns of random actions, for `agents/reference_returns.csv`: `python -m scripts.reference_returns TASK ...`.

A line a task: its name and the mean return of 100 episodes, actions drawn from its box, seeds 0 to 99.
"""

import argparse
from collections.abc import Sequence

import gymnasium
import numpy as np

from mtrl import envs
from mtrl.envs.registered.registry import find

EPISODES = 100


def random_return(task: str) -> float:
    """Mean undiscounted return over the episodes."""
    returns = []
    env = gymnasium.make(find(envs.task_names(task)[0]), disable_env_checker=True)
    for seed in range(EPISODES):
        env.reset(seed=seed)
        env.action_space.seed(seed)
        total, ended = 0.0, False
        while not ended:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, ended = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    return float(np.mean(returns))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="as in env.tasks: HalfCheetah-v5, module:Name-v0")
    for name in parser.parse_args(arguments).tasks:
        print(f"{name},{random_return(name):.1f}", flush=True)


if __name__ == "__main__":
    main()
