"""Tasks of Meta-World and registered ones, stepped together: each family by its own backend.

Axes: T tasks, E environments per task, O observation, A action.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from mtrl.closing import Closing
from mtrl.cores import available_cores
from mtrl.envs.calls import checked_actions
from mtrl.envs.goals import NUM_GOALS
from mtrl.envs.interface import MAX_HORIZON, SimulatorInfo, Step, VectorEnv
from mtrl.envs.observations import Observations
from mtrl.envs.options import Options
from mtrl.envs.tasks import is_metaworld, sizes

_OF_OTHERS = {"backend": "metaworld", "num_goals": NUM_GOALS, "goals_visible": True, "reward_version": "v2"}
"""Options of Meta-World alone, as tasks of other families have them."""


def mixed_env(options: Options, make: Callable[[Options], VectorEnv]) -> "MixedEnv":
    """Environments of both families.

    Options of Meta-World alone (`num_goals`, `goals_visible`, `reward_version`, `backend`) hold for its tasks, whose
    goals are those of the benchmark of these tasks.

    Args:
        options: of all.
        make: makes a family's.
    """
    families: dict[bool, list[int]] = {}
    for task, name in enumerate(options.names):
        families.setdefault(is_metaworld(name), []).append(task)
    workers = options.num_workers or available_cores()
    parts: list[tuple[list[int], VectorEnv]] = []
    try:
        for of_metaworld, tasks in families.items():
            own: dict[str, Any] = {
                "tasks": [options.names[task] for task in tasks],
                "one_hot": False,
                "num_workers": max(1, round(workers * len(tasks) / len(options.names))),
            }
            if of_metaworld:
                own["horizon"] = min(options.horizon or MAX_HORIZON, MAX_HORIZON)
                if options.backend == "envpool":
                    own["num_workers"] = 0  # it has threads of its own
            else:
                own |= _OF_OTHERS
            parts.append((tasks, make(replace(options, **own))))
    except BaseException:
        for _, env in parts:
            env.close()
        raise
    return MixedEnv(options, parts)


@final
class MixedEnv(Closing):
    """Vector environments of different tasks as one (`VectorEnv`).

    Args:
        options: of all.
        parts: each with its tasks' numbers, `[T]`.
    """

    def __init__(self, options: Options, parts: Sequence[tuple[Sequence[int], VectorEnv]]) -> None:
        self._options, self._stepping = options, [True for _ in parts]
        self.tasks, self.infos = options.names, options.infos
        self.num_envs_per_task, self.seed = options.num_envs_per_task, options.seed
        self.horizon = max(options.horizons)
        longest = sizes(options.names)
        self.action_size = longest.action
        self.simulator = _simulator_info([env for _, env in parts])
        self._parts = [(list(tasks), env) for tasks, env in parts]
        # Meta-World's own hide its goals.
        self._observations = Observations(replace(options, goals_visible=True), longest.observation)
        self.observation_size = self._observations.size

    def reset(self, seed: int | None = None) -> np.ndarray:
        """See `VectorEnv.reset`."""
        if seed is not None:
            self._options, self.seed = self._options.reseeded(seed), seed
        return self._shown([env.reset(seed) for _, env in self._parts])

    def send(self, actions: np.ndarray, active: np.ndarray | None = None) -> None:
        """See `VectorEnv.send`."""
        actions = checked_actions(actions, self.tasks, self.num_envs_per_task, self.action_size)
        self._stepping = [active is None or bool(active[tasks].any()) for tasks, _ in self._parts]
        for (tasks, env), steps in zip(self._parts, self._stepping, strict=True):
            if steps:
                env.send(actions[tasks][..., : env.action_size], None if active is None else active[tasks])

    def recv(self) -> Step:
        """See `VectorEnv.recv`."""
        try:
            parts = zip(self._parts, self._stepping, strict=True)
            steps = [env.recv() if steps else self._idle(len(tasks), env) for (tasks, env), steps in parts]
        except RuntimeError:
            self.close()
            raise
        fields = {name: [getattr(step, name) for step in steps] for name in Step._fields}
        return Step(
            **{
                name: (self._shown if name in ("obs", "next_obs") else self._joined)(arrays)
                for name, arrays in fields.items()
            }
        )

    def step(self, actions: np.ndarray) -> Step:
        """See `VectorEnv.step`."""
        self.send(actions)
        return self.recv()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The parts' states, each with the part's number before its names."""
        states = [env.state_dict() for _, env in self._parts]
        return {f"{number}.{name}": value for number, state in enumerate(states) for name, value in state.items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """See `VectorEnv.load_state_dict`."""
        own: list[dict[str, np.ndarray]] = [{} for _ in self._parts]
        for key, value in state.items():
            number, _, name = key.partition(".")
            if not number.isdecimal() or int(number) >= len(own):
                raise ValueError(f"state must be of {len(own)} parts, named 0.name, 1.name, ..., got {key!r}")
            own[int(number)][name] = value
        return self._shown([env.load_state_dict(part) for (_, env), part in zip(self._parts, own, strict=True)])

    def close(self) -> None:
        """See `VectorEnv.close`."""
        for _, env in self._parts:
            env.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # Each by its own options: after reset(seed) EnvPool's goals are another seed's, the resets of others are not.
        return _again, (self._options, [(tasks, *env.__reduce__()) for tasks, env in self._parts])

    def _idle(self, num_tasks: int, env: VectorEnv) -> Step:
        """The step of a part that stays where it is."""
        shape = num_tasks, self.num_envs_per_task
        obs, none = np.zeros((*shape, env.observation_size)), np.zeros(shape, bool)
        zeros, count = np.zeros(shape), np.zeros(shape, np.int64)
        return Step(obs, obs, zeros, none, none, none, none, zeros, count)

    def _joined(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The parts' `[their tasks, E, ...]`, filled up with zeros at the end of the last axis, as `[T, E, ...]`."""
        longest = max(array.shape[2:] for array in arrays)
        joined = np.zeros((len(self.tasks), self.num_envs_per_task, *longest), arrays[0].dtype)
        for (tasks, _), array in zip(self._parts, arrays, strict=True):
            joined[tasks] = np.pad(
                array, [(0, 0), (0, 0), *((0, most - n) for most, n in zip(longest, array.shape[2:], strict=True))]
            )
        return joined

    def _shown(self, obs: Sequence[np.ndarray]) -> np.ndarray:
        return self._observations.show(self._joined(obs))


def _again(
    options: Options, parts: Sequence[tuple[Sequence[int], Callable[..., VectorEnv], tuple[Any, ...]]]
) -> MixedEnv:
    return MixedEnv(options, [(tasks, make(*arguments)) for tasks, make, arguments in parts])


def _simulator_info(parts: Sequence[VectorEnv]) -> SimulatorInfo:
    infos = [env.simulator for env in parts]
    versions: dict[str, str] = {}
    for name, version in [pair for info in infos for pair in info.versions.items()]:
        versions[name] = version if versions.get(name, version) == version else f"{versions[name]} and {version}"
    said = {
        field: "; ".join(f"{info.backend}: {getattr(info, field)}" for info in infos) for field in ("goals", "reward")
    }
    return SimulatorInfo(backend=" and ".join(info.backend for info in infos), versions=versions, **said)
