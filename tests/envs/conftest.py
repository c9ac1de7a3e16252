"""What several test files need; the real simulator is slow to build, so it is built once."""

from collections.abc import Callable

import metaworld
import numpy as np
import pytest

from mtrl.envs import VectorEnv

SEED = 3


@pytest.fixture(scope="session")
def stock_mt10() -> metaworld.MT10:
    """The benchmark as metaworld itself makes it, with seed 3 (several seconds)."""
    return metaworld.MT10(seed=SEED)


@pytest.fixture
def random_actions() -> Callable[[VectorEnv, int], np.ndarray]:
    """`random_actions(env, steps)`: float32 `[steps, T, E, A]`, the same for the same shape."""

    def draw(env: VectorEnv, steps: int) -> np.ndarray:
        shape = (steps, len(env.tasks), env.num_envs_per_task, env.action_size)
        return np.random.default_rng(5).uniform(-1, 1, shape).astype(np.float32)

    return draw
