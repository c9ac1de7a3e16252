"""Any vector environment as a `gymnasium.vector.VectorEnv`. Axes: N = T * E environments, O observation, A action."""

from typing import Any, final

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from mtrl.envs.interface import Step, VectorEnv

_RESET_MASK = "reset_mask"


@final
class GymnasiumVector(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """A view in one of Gymnasium's autoreset modes.

    SAME_STEP: where an episode ends, the observation is the next one's first, and `info["final_obs"]` holds its last
    observation, `info["final_info"]` its last `success`, `episode_success` (at any step), `episode_return` and
    `episode_length`. NEXT_STEP: the observation is the episode's last, and the next step, whatever its action, gives
    the next one's first with reward 0. DISABLED: likewise, but `reset(options={"reset_mask": ended})` gives it.

    `info["success"]` is the simulator's success of the step, in SAME_STEP where an episode goes on, and only of tasks
    that tell of it. The masks are Gymnasium's, `_name`.
    """

    def __init__(self, env: VectorEnv, autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP) -> None:
        self.env, self._mode = env, AutoresetMode(autoreset_mode)
        self.num_envs = len(env.tasks) * env.num_envs_per_task
        self.metadata = {"autoreset_mode": self._mode, "render_modes": []}
        self.tasks = tuple(np.repeat(env.tasks, env.num_envs_per_task).tolist())  # of each environment
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (env.observation_size,), np.float64)
        self.single_action_space = gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._tells = np.repeat([info.has_success for info in env.infos], env.num_envs_per_task)
        self._shown = np.empty(self.observation_space.shape)  # the last observations
        self._first = self._shown  # of the next episodes, where the last ones have ended
        self._ended = np.zeros(self.num_envs, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes everywhere; with a seed, those of an environment made with this seed and these goals.

        Raises:
            ValueError: for options, but for the mask of mode DISABLED, which marks environments that have ended.
        """
        if options and self._mode is AutoresetMode.DISABLED and set(options) == {_RESET_MASK}:
            return self._begin(np.asarray(options[_RESET_MASK])), {}
        if options:
            raise ValueError(f"options must be empty, got {options}")
        super().reset(seed=seed)
        self._shown, self._ended = self._flat(self.env.reset(seed)), np.zeros(self.num_envs, dtype=bool)
        return self._shown.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take actions `[N, A]`."""
        actions = np.reshape(actions, (len(self.env.tasks), self.env.num_envs_per_task, -1))
        if self._mode is AutoresetMode.SAME_STEP:
            step = self.env.step(actions)
            obs, reward, terminated, truncated = (
                self._flat(array) for array in (step.obs, step.reward, step.terminated, step.truncated)
            )
            return obs, reward, terminated, truncated, self._info(step)
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            number = int(self._ended.nonzero()[0][0])
            raise RuntimeError(f"environment {number} has ended: reset(options={{'{_RESET_MASK}': ...}}) comes first")
        return self._step_or_begin(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """End every simulator."""
        self.env.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return GymnasiumVector, (self.env, self._mode)

    def _step_or_begin(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps the environments; those whose episode has ended show the first observation of the next instead."""
        begins, goes_on = self._ended, ~self._ended
        reward, ends = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=bool)
        terminated, truncated, success, shown = ends, ends, ends, self._first.copy()
        if goes_on.any():
            active = goes_on.reshape(actions.shape[:2])
            self.env.send(actions, None if goes_on.all() else active)
            step = self.env.recv()
            reward = np.where(goes_on, self._flat(step.reward), 0.0)
            terminated, truncated = (self._flat(x) & goes_on for x in (step.terminated, step.truncated))
            success = self._flat(step.success) & goes_on
            shown = np.where(begins[:, None], self._first, self._flat(step.next_obs))
            self._first = self._flat(step.obs)
        self._shown, self._ended = shown, terminated | truncated
        info = {"success": success, "_success": goes_on & self._tells} if self._tells.any() else {}
        return shown.copy(), reward, terminated, truncated, info

    def _begin(self, mask: np.ndarray) -> np.ndarray:
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any() or (mask & ~self._ended).any():
            rule = f"{_RESET_MASK} must be bool [{self.num_envs}] and mark environments that have ended"
            raise ValueError(f"{rule} ({self._ended.nonzero()[0].tolist()}), got {mask}")
        self._shown = np.where(mask[:, None], self._first, self._shown)
        self._ended = self._ended & ~mask
        return self._shown.copy()

    def _info(self, step: Step) -> dict[str, Any]:
        done = self._flat(step.done)
        info: dict[str, Any] = {}
        if self._tells.any():
            info = {"success": self._flat(step.success) & ~done, "_success": ~done & self._tells}
        if done.any():
            final_obs = np.full(self.num_envs, None, dtype=object)
            final_info: dict[str, np.ndarray] = {}
            for environment in done.nonzero()[0]:
                final_obs[environment] = self._flat(step.next_obs)[environment]
            success = ("success", "episode_success") if self._tells.any() else ()
            for name in (*success, "episode_return", "episode_length"):
                final_info[name] = np.where(done, self._flat(getattr(step, name)), 0).astype(getattr(step, name).dtype)
                final_info[f"_{name}"] = done & self._tells if "success" in name else done.copy()
            info |= {"final_obs": final_obs, "_final_obs": done.copy()}
            info |= {"final_info": final_info, "_final_info": done.copy()}
        return info

    def _flat(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.num_envs, *array.shape[2:])
