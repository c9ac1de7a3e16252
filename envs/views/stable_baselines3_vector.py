"""Any vector environment as a Stable-Baselines3 `VecEnv`. Axes: N = T * E environments, O observation, A action."""

import time
from collections.abc import Sequence
from typing import Any, final

import gymnasium
import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from mtrl.envs.interface import VectorEnv


@final
class StableBaselines3Vector(VecEnv):
    """Observations are float32, as their replay buffers keep them.

    An info has `success`, the simulator's of this step, if its task tells of it. At an episode's end there are also
    `terminal_observation`, `TimeLimit.truncated`, `episode`, and `is_success` (at any step of the episode) where there
    is success; their logger reads these two.
    """

    def __init__(self, env: VectorEnv) -> None:
        self.env = env
        self.tasks = tuple(np.repeat(env.tasks, env.num_envs_per_task).tolist())  # of each environment
        super().__init__(
            len(self.tasks),
            gymnasium.spaces.Box(-np.inf, np.inf, (env.observation_size,), np.float32),
            gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32),
        )
        self._tells = np.repeat([info.has_success for info in env.infos], env.num_envs_per_task)
        self._seed: int | None = None
        self._made = time.monotonic()

    def reset(self) -> np.ndarray:
        """New episodes everywhere; after `seed(k)`, those of an environment made with this seed and these goals."""
        obs = self.env.reset(self._seed)
        self._seed = None
        return self._flat(obs).astype(np.float32)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Choose the seed of the next reset."""
        self._seed = seed
        return [seed] * self.num_envs

    def step_async(self, actions: np.ndarray) -> None:
        """Begin a step with actions `[N, A]`."""
        self.env.send(np.reshape(actions, (len(self.env.tasks), self.env.num_envs_per_task, -1)))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Wait for the step that `step_async` began."""
        step = self.env.recv()
        done = self._flat(step.done)
        infos: list[dict[str, Any]] = [
            {"success": bool(success)} if tells else {}
            for success, tells in zip(self._flat(step.success), self._tells, strict=True)
        ]
        for number in done.nonzero()[0]:
            task, environment = divmod(int(number), self.env.num_envs_per_task)
            here = task, environment
            infos[number] |= {
                "terminal_observation": step.next_obs[here].astype(np.float32),
                "TimeLimit.truncated": bool(step.truncated[here] and not step.terminated[here]),
                "episode": {
                    "r": float(step.episode_return[here]),
                    "l": int(step.episode_length[here]),
                    "t": time.monotonic() - self._made,
                },
            }
            if self._tells[number]:
                infos[number]["is_success"] = bool(step.episode_success[here])
        return self._flat(step.obs).astype(np.float32), self._flat(step.reward).astype(np.float32), done, infos

    def close(self) -> None:
        """End every simulator."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """`render_mode` (None), `task`; single environments have no others here."""
        known = {"render_mode": [None] * len(self.tasks), "task": list(self.tasks)}
        if attr_name not in known:
            raise AttributeError(f"an environment of this view has the attributes {sorted(known)}, not {attr_name!r}")
        return [known[attr_name][index] for index in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible: the environments live in other processes."""
        raise AttributeError(f"attributes cannot be set in a view, got {attr_name!r}")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Not possible: the environments live in other processes."""
        raise AttributeError(f"methods cannot be called through a view, got {method_name!r}")

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """True of their Monitor alone, whose episodes' statistics are in the infos."""
        return [issubclass(Monitor, wrapper_class) for _ in self._chosen(indices)]

    def __reduce__(self) -> tuple[Any, ...]:
        return StableBaselines3Vector, (self.env,)

    def _chosen(self, indices: VecEnvIndices) -> Sequence[int]:
        if indices is None:
            return range(len(self.tasks))
        return [indices] if isinstance(indices, int) else list(indices)

    def _flat(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(len(self.tasks), *array.shape[2:])
