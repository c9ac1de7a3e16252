"""The EnvPool backend: Meta-World rewritten in C++. Fast, but not the benchmark; its results are labelled.

EnvPool 1.2.5 carries MuJoCo 3.6.0 (the benchmark is defined on 3.3.0, and success rates differ), draws a
fresh uniform goal for every episode instead of one of the benchmark's 50, and has no way to set a goal or to
save a simulator. Some rewards are not Meta-World's: the tasks in DIFFERENT_REWARD.

Axes: T tasks, E environments per task, O observation, A action.
"""

import importlib.metadata
import warnings
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from mtrl.closing import Closing
from mtrl.envs.calls import Phase, check_state, checked_actions
from mtrl.envs.episodes import Episodes
from mtrl.envs.goals import NUM_GOALS
from mtrl.envs.interface import ACTION_SIZE, OBSERVATION_SIZE, SimulatorInfo, Step
from mtrl.envs.observations import Observations
from mtrl.envs.options import Options
from mtrl.extras import install

DIFFERENT_REWARD = frozenset(
    {
        "button-press-topdown-wall-v3",
        "door-lock-v3",
        "pick-place-v3",
        "push-back-v3",
        "soccer-v3",
        "sweep-into-v3",
        "sweep-v3",
    }
)
"""Tasks whose reward in EnvPool 1.2.5 differs visibly from metaworld 3.1.1 on the same MuJoCo.

Most read the finger pads' position through `init_left_pad`, which in metaworld is a live view of the current
position and in EnvPool a copy of the first one; button-press-topdown-wall has another formula.
"""

_BUNDLED_MUJOCO = {"1.2.5": "3.6.0"}
_SEEDS = 2**31 - 1  # EnvPool's seeds are positive int32


@final
class EnvPoolEnv(Closing):
    """One EnvPool per task, all stepped at once (`VectorEnv`).

    State: running episodes cannot be saved. A loaded state begins new episodes everywhere, with goals that
    depend on the saved state alone: two runs resumed from it are equal, but not equal to the straight run.
    """

    action_size = ACTION_SIZE

    def __init__(self, options: Options) -> None:
        """Make the pools.

        Raises:
            ModuleNotFoundError: EnvPool is not installed.
            ValueError: for an option that EnvPool cannot follow.
        """
        _check_supported(options)
        self.tasks = options.names
        self.num_envs_per_task = options.num_envs_per_task
        self.seed = options.seed
        self.infos, self.horizon = options.infos, max(options.horizons)
        self.simulator = _simulator_info(options)
        self._options = options
        self._observations = Observations(options)
        self.observation_size = self._observations.size
        self._shape = options.shape
        self._episodes = Episodes(options.horizons, options.num_envs_per_task)
        self._phase = Phase.NEW
        self._pools = self._make_pools(episode=0)
        different = [task for task in options.names if task in DIFFERENT_REWARD]
        if different:
            warnings.warn(
                f"EnvPool's reward is not Meta-World's for {', '.join(different)}: "
                "do not compare their returns with other backends",
                stacklevel=4,
            )

    def reset(self, seed: int | None = None) -> np.ndarray:
        """See `VectorEnv.reset`."""
        self._phase.require("reset()", Phase.NEW, Phase.READY)
        if seed is not None:
            self._options, self.seed = self._options.reseeded(seed), seed
            self._pools = self._make_pools(episode=0)
            self._episodes.start(-1)
        self._episodes.start(self._episodes.number + 1)
        self._phase = Phase.READY
        return self._observations.show(self._reset_pools())

    def send(self, actions: np.ndarray, active: np.ndarray | None = None) -> None:
        """See `VectorEnv.send`."""
        self._phase.require("send()", Phase.READY)
        if active is not None and not active.all():
            raise ValueError("active must be true everywhere: EnvPool's environments step together")
        actions = checked_actions(actions, self.tasks, self.num_envs_per_task, ACTION_SIZE)
        for pool, of_task in zip(self._pools, actions, strict=True):
            pool.send(of_task)
        self._phase = Phase.STEPPING

    def recv(self) -> Step:
        """See `VectorEnv.recv`."""
        self._phase.require("recv()", Phase.STEPPING)
        next_obs = np.empty((*self._shape, OBSERVATION_SIZE))
        reward = np.empty(self._shape)
        success = np.empty(self._shape, dtype=bool)
        for task, pool in enumerate(self._pools):
            obs, _, _, _, info = pool.recv()
            environments = info["env_id"]
            next_obs[task, environments] = obs
            reward[task, environments] = info["unscaled_reward"]  # the other one is rounded to float32
            success[task, environments] = info["success"].astype(bool)
        # EnvPool would reset with the next step, ignore that action and reward it: so reset right now.
        obs = self._reset_pools() if self._episodes.next_step_is_last.all() else next_obs
        self._phase = Phase.READY
        show = self._observations.show
        return self._episodes.record(obs=show(obs), next_obs=show(next_obs), reward=reward, success=success)

    def step(self, actions: np.ndarray) -> Step:
        """See `VectorEnv.step`."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The running episode's number, from which `load_state_dict` seeds new episodes."""
        self._phase.require("state_dict()", Phase.READY)
        return {"make": self._options.fingerprint(), "episode": self._episodes.number.max()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Begin new episodes, drawn from the saved state. See `VectorEnv.load_state_dict`."""
        self._phase.require("load_state_dict()", Phase.NEW, Phase.READY)
        check_state(state, {"make", "episode"}, self._options)
        episode = int(state["episode"]) + 1
        self._pools = self._make_pools(episode)
        self._episodes.start(episode - 1)
        return self.reset()

    def close(self) -> None:
        """See `VectorEnv.close`."""
        self._phase = Phase.CLOSED
        self._pools = []

    def __reduce__(self) -> tuple[Any, ...]:
        return EnvPoolEnv, (self._options,)

    def _make_pools(self, episode: int) -> list[Any]:
        """A pool per task whose first goals are those of this episode.

        Environment e of a pool has seed `pool's + e`: consecutive blocks never overlap.
        """
        import envpool  # an optional extra

        count = len(self.tasks) * self.num_envs_per_task
        stream = np.random.SeedSequence(self._options.seed, spawn_key=(episode,))
        first = int(stream.generate_state(1)[0]) % (_SEEDS - count)
        return [
            envpool.make_gymnasium(
                _envpool_name(task),
                num_envs=self.num_envs_per_task,
                num_threads=1,
                seed=first + index * self.num_envs_per_task,
                max_episode_steps=self.horizon,
                partially_observable=False,
            )
            for index, task in enumerate(self.tasks)
        ]

    def _reset_pools(self) -> np.ndarray:
        """Reset every environment, all pools at once; the first observations, `[T, E, O]`."""
        obs = np.empty((*self._shape, OBSERVATION_SIZE))
        for pool in self._pools:
            pool.async_reset()
        for task, pool in enumerate(self._pools):
            first, _, _, _, info = pool.recv()
            obs[task, info["env_id"]] = first
        return obs


def _check_supported(options: Options) -> None:
    """ValueError for what EnvPool cannot do."""
    for parameter, value, only, reason in (
        ("goal_order", options.goal_order, "random", "cannot set goals"),
        ("goal_seed", options.seed_of_goals, options.seed, "draws goals of its own"),
        ("num_goals", options.num_goals, NUM_GOALS, "draws a fresh goal for every episode"),
        ("reward_version", options.reward_version, "v2", "knows one reward"),
        ("num_workers", options.num_workers, 0, "runs a thread per task"),
    ):
        if value != only:
            raise ValueError(
                f"backend='envpool' {reason}: {parameter} must be {only!r}, got {value!r}; use backend='metaworld'"
            )


def _envpool_name(task: str) -> str:
    """`MetaWorld/ButtonPress-v3` for `button-press-v3`."""
    words = task.removesuffix("-v3").split("-")
    return f"MetaWorld/{''.join(word.capitalize() for word in words)}-v3"


def _simulator_info(options: Options) -> SimulatorInfo:
    try:
        version = importlib.metadata.version("envpool")
    except importlib.metadata.PackageNotFoundError:
        raise ModuleNotFoundError(f"backend='envpool' needs EnvPool: {install('envpool')}", name="envpool") from None
    return SimulatorInfo(
        backend="envpool",
        versions={"envpool": version, "mujoco": _BUNDLED_MUJOCO.get(version, "unknown")},
        goals="drawn uniformly from the task's goal space for every episode, not the benchmark's 50"
        + ("" if options.goals_visible else ", not visible"),
        reward=f"EnvPool's V2 (differs from Meta-World for {', '.join(sorted(DIFFERENT_REWARD))})",
    )
