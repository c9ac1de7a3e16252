"""Any vector environment as a `gymnasium.vector.VectorEnv`. Axes: N = T * E environments, O observation, A action."""

from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from mtrl.envs.interface import Step, VectorEnv
from mtrl.envs.views.seeding import Seeding


@final
class GymnasiumVector(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Autoreset mode SAME_STEP: where an episode ends, the observation is the next one's first.

    Where an episode goes on, `info["success"]` is the simulator's success of the step. Where it ended,
    `info["final_obs"]` holds its last observation and `info["final_info"]` its last `success`, `episode_success` (at
    any step), `episode_return` and `episode_length`. The masks are Gymnasium's, `_name`.
    """

    def __init__(self, env: VectorEnv) -> None:
        self.env = env
        self.num_envs = len(env.tasks) * env.num_envs_per_task
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.tasks = tuple(np.repeat(env.tasks, env.num_envs_per_task).tolist())  # of each environment
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (env.observation_size,), np.float64)
        self.single_action_space = gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._seeding = Seeding(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes everywhere; with the seed of `mtrl.envs.make`, the same ones every time.

        Raises:
            ValueError: another seed, or options: there are none.
        """
        if options:
            raise ValueError(f"options must be empty, got {options}")
        super().reset(seed=seed)
        return self._flat(self._seeding.reset(seed)), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take actions `[N, A]`."""
        step = self.env.step(np.reshape(actions, (len(self.env.tasks), self.env.num_envs_per_task, -1)))
        obs, reward, terminated, truncated = map(self._flat, (step.obs, step.reward, step.terminated, step.truncated))
        return obs, reward, terminated, truncated, self._info(step)

    def close_extras(self, **kwargs: Any) -> None:
        """End every simulator."""
        self.env.close()

    def _info(self, step: Step) -> dict[str, Any]:
        done = self._flat(step.done)
        info: dict[str, Any] = {"success": self._flat(step.success) & ~done, "_success": ~done}
        if done.any():
            final_obs = np.full(self.num_envs, None, dtype=object)
            final_info: dict[str, np.ndarray] = {}
            for environment in done.nonzero()[0]:
                final_obs[environment] = self._flat(step.next_obs)[environment]
            for name in ("success", "episode_success", "episode_return", "episode_length"):
                final_info[name] = np.where(done, self._flat(getattr(step, name)), 0).astype(getattr(step, name).dtype)
                final_info[f"_{name}"] = done.copy()
            info |= {"final_obs": final_obs, "_final_obs": done.copy()}
            info |= {"final_info": final_info, "_final_info": done.copy()}
        return info

    def _flat(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.num_envs, *array.shape[2:])
