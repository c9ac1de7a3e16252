"""How far a backend is from stock metaworld under the same actions."""

from dataclasses import dataclass

import numpy as np

from mtrl.envs import ACTION_SIZE
from mtrl.envs.interface import MAX_HORIZON
from scripts.fidelity_check.backends import goals, make
from scripts.fidelity_check.stock import Script, Stock

KINDS = ("random", "scripted")


@dataclass
class Largest:
    """The largest difference so far."""

    value: float = 0.0
    first_step: int | None = None
    """Where it first was not zero; the first step is 1."""

    def see(self, step: int, difference: float) -> None:
        """Take the difference of a step; one that is not a number counts as infinite."""
        if difference == 0:
            return
        self.value = max(self.value, difference if difference == difference else float("inf"))
        if self.first_step is None:
            self.first_step = step

    def __str__(self) -> str:
        return "0" if self.first_step is None else f"{self.value:.1e} @ {self.first_step}"


@dataclass
class Differences:
    """Of one backend, one task and one kind of actions."""

    reset: Largest
    """Of the observations after a reset; step 0 is the first."""
    obs: Largest
    """Of the successors."""
    reward: Largest
    num_successes: int
    """Steps whose success differs."""
    first_success: int | None
    """The first of them."""

    @property
    def is_zero(self) -> bool:
        """Whether every number was equal, bit for bit."""
        largest = (self.reset, self.obs, self.reward)
        return all(one.first_step is None for one in largest) and self.num_successes == 0


def differences(backend: str, task: str, kind: str, steps: int, seed: int) -> Differences:
    """Step a backend and stock metaworld side by side; the script looks at the stock observation.

    Args:
        backend: of `mtrl.envs.make`.
        task: Meta-World V3 name.
        kind: of actions, one of KINDS.
        steps: at least two; there is a reset in the middle, or every 500 of them.
        seed: of goals and actions.
    """
    horizon = min(MAX_HORIZON, -(-steps // 2))
    found = Differences(Largest(), Largest(), Largest(), 0, None)
    generator, script = np.random.default_rng(seed), Script(task)
    stock = Stock(task)
    env, pool_seeds = make(backend, task, 1, seed, horizon)
    coming = iter(goals(backend, task, seed, pool_seeds, steps // horizon + 1))
    with env:
        obs = stock.reset(next(coming))
        found.reset.see(0, _distance(env.reset()[0, 0], obs))
        for number in range(1, steps + 1):
            drawn = generator.uniform(-1, 1, ACTION_SIZE).astype(np.float32)
            action = script.act(obs) if kind == "scripted" else drawn
            obs, reward, success = stock.step(action)
            step = env.step(action[None, None])
            found.obs.see(number, _distance(step.next_obs[0, 0], obs))
            found.reward.see(number, abs(float(step.reward[0, 0]) - reward))
            if bool(step.success[0, 0]) != success:
                found.num_successes += 1
                found.first_success = found.first_success or number
            if number % horizon == 0:
                obs = stock.reset(next(coming))
                found.reset.see(number, _distance(step.obs[0, 0], obs))
    return found


def _distance(ours: np.ndarray, stock: np.ndarray) -> float:
    return float(np.abs(ours - stock).max())
