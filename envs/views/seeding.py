"""What `reset(seed=...)` means for an environment whose seed was given when it was made."""

from typing import final

import numpy as np

from mtrl.envs.interface import VectorEnv


@final
class Seeding:
    """Restarts an environment from the episodes of its first seeded reset.

    Other seeds than its own are refused, since ignoring them would deceive.
    """

    def __init__(self, env: VectorEnv) -> None:
        self._env = env
        self._first: dict[str, np.ndarray] | None = None

    def reset(self, seed: int | None) -> np.ndarray:
        """New episodes, or with the seed that the environment was made with, the same ones every time, `[T, E, O]`.

        Raises:
            ValueError: another seed.
        """
        if seed is not None and seed != self._env.seed:
            raise ValueError(f"seed is given to envs.make: reset(seed=...) must be {self._env.seed}, got {seed}")
        if seed is None:
            return self._env.reset()
        if self._first is None:
            self._env.reset()
            self._first = self._env.state_dict()
        return self._env.load_state_dict(self._first)  # also the first time: not every backend returns to its first
