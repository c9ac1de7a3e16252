"""What metaworld's scripted policies reach on a backend."""

from typing import NamedTuple

import numpy as np

from scripts.fidelity_check.backends import make
from scripts.fidelity_check.stock import Script, Stock, benchmark

_MOST_ENVS = 10


class Outcome(NamedTuple):
    """Over the episodes of one task."""

    success_any: float
    success_final: float
    mean_return: float


def outcome(backend: str, task: str, episodes: int, horizon: int, seed: int) -> Outcome:
    """Episodes of the scripted policy: metaworld's goals in turn, EnvPool's own.

    Args:
        backend: of `mtrl.envs.make`, or "stock".
        task: Meta-World V3 name.
        episodes: at most the fifty goals.
        horizon: steps of an episode.
        seed: of the goals.
    """
    played = (
        _stock(task, episodes, horizon, seed) if backend == "stock" else _made(backend, task, episodes, horizon, seed)
    )
    return Outcome(*np.mean(played, axis=0).tolist())


def _stock(task: str, episodes: int, horizon: int, seed: int) -> list[Outcome]:
    stock, played = Stock(task), []
    for goal in benchmark(task, seed)[:episodes]:
        obs, script = stock.reset(goal), Script(task)
        total, any_step, success = 0.0, False, False
        for _ in range(horizon):
            obs, reward, success = stock.step(script.act(obs))
            total, any_step = total + reward, any_step or success
        played.append(Outcome(any_step, success, total))
    return played


def _made(backend: str, task: str, episodes: int, horizon: int, seed: int) -> list[Outcome]:
    num_envs = max(n for n in range(1, _MOST_ENVS + 1) if episodes % n == 0)
    played: list[Outcome] = []
    env, _ = make(backend, task, num_envs, seed, horizon)
    with env:
        obs = env.reset()
        for _ in range(episodes // num_envs):
            scripts = [Script(task) for _ in range(num_envs)]
            for _ in range(horizon):
                actions = [script.act(seen) for script, seen in zip(scripts, obs[0], strict=True)]
                step = env.step(np.array(actions)[None])
                obs = step.obs
            ended = zip(step.episode_success[0], step.success[0], step.episode_return[0], strict=True)
            played += [Outcome(*map(float, values)) for values in ended]
    return played
