"""What a vector environment is made of."""

import difflib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import cast

import numpy as np

from mtrl.envs.goals import GOAL_ORDERS, NUM_GOALS
from mtrl.envs.interface import MAX_HORIZON, Peers, TaskInfo
from mtrl.envs.tasks import Task, are_metaworld, horizons, is_metaworld, task_infos, task_names

_REWARD_VERSIONS = ("v2", "v1")
_BACKENDS = ("metaworld", "envpool")


@dataclass(frozen=True)
class Options:
    """The options of `mtrl.envs.make`. Each ValueError is one line with the option, its rule and the value."""

    tasks: Task | Sequence[Task] = "MT10"
    """`"MT10"`, `"MT25"`, `"MT50"`, `"MT1:reach-v3"`, `"Points"` (four small analytic ones), or any of Meta-World V3's
    names and of registered Gymnasium environments (`"Name-v0"`, `"module:Name-v0"`, `"dm_control/cheetah-run-v0"`,
    `{"id": "Name-v0", "kwargs": {...}}`), whose observations and bounded actions are vectors of whatever sizes."""
    _: KW_ONLY
    num_envs_per_task: int = 1
    """E, the number of environments of each task, > 0."""
    seed: int = 0
    """Decides which goal an episode gets, and the goals themselves if there is no `goal_seed`, `0 <= seed < 2**32`;
    numpy's global generator plays no part."""
    backend: str = "metaworld"
    """What simulates Meta-World's tasks: `"metaworld"` is exact; `"envpool"` is faster, with another MuJoCo, other
    goals and some other rewards."""
    horizon: int | None = None
    """An episode is truncated after this many steps, > 0, or at its task's own limit if that is less (Meta-World's is
    500); None for that limit alone."""
    goal_order: str = "random"
    """`"random"`: every episode draws one of the 50 goals uniformly. `"cycle"`: environment e visits goals e, e + E,
    e + 2E, ...: with E dividing 50, 50 / E episodes visit each goal once. Registered environments: the same with reset
    seeds, drawn per episode or visited in turn from a list without end."""
    goal_seed: int | None = None
    """Decides the benchmark's goals, as in `metaworld.MT10(goal_seed)`; None for `seed`. Environments for training and
    for evaluation with the same `goal_seed` share their goals."""
    num_goals: int = NUM_GOALS
    """Goals of each task, 1 to 50. 1 is the fixed goal of older papers: as in metaworld, the first that the task draws,
    after `num_goals` draws of each task before it."""
    goals_visible: bool = True
    """False: the goal in the observation is zeros (metaworld's `partially_observable`)."""
    one_hot: bool = False
    """The task's one-hot vector, `[T]`, follows the observation: O = 39 + T."""
    reward_version: str = "v2"
    """`"v2"`, in [0, 10], or metaworld's older `"v1"`, whose success can differ as well."""
    num_workers: int = 0
    """Simulator processes, at most one per environment; 0 for one per core."""
    peers: Peers | None = None
    """Other processes that make the same environments and step them when this one does, each with the simulators of
    some tasks; what comes back is the same everywhere. None for this one alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", task_names(self.tasks))
        _check_range("num_envs_per_task", self.num_envs_per_task, 1, None)
        _check_range("seed", self.seed, 0, 2**32 - 1)
        if self.horizon is None and self.of_metaworld:
            object.__setattr__(self, "horizon", MAX_HORIZON)
        if self.horizon is not None:
            _check_range("horizon", self.horizon, 1, MAX_HORIZON if self.of_metaworld else None)
        _check_range("num_workers", self.num_workers, 0, None)
        _check_choice("backend", self.backend, _BACKENDS)
        if self.peers and self.backend == "envpool":
            raise ValueError("backend must be 'metaworld' over several processes, got 'envpool'")
        if self.backend != "metaworld" and not any(map(is_metaworld, self.names)):
            raise ValueError(f"backend={self.backend!r} simulates Meta-World alone: leave it out for {self.names[0]!r}")
        _check_choice("goal_order", self.goal_order, GOAL_ORDERS)
        _check_choice("reward_version", self.reward_version, _REWARD_VERSIONS)
        if self.goal_seed is not None:
            _check_range("goal_seed", self.goal_seed, 0, 2**32 - 1)
        _check_range("num_goals", self.num_goals, 1, NUM_GOALS)
        _check_flag("goals_visible", self.goals_visible)
        _check_flag("one_hot", self.one_hot)

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks' names, in the order of the task axis."""
        return cast(tuple[str, ...], self.tasks)

    @property
    def of_metaworld(self) -> bool:
        """Whether the tasks are all Meta-World's; the others are registered environments."""
        return are_metaworld(self.names)

    @property
    def infos(self) -> tuple[TaskInfo, ...]:
        """What each task is."""
        return task_infos(self.names)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Steps after which an episode of each task is truncated, `[T]`; see `mtrl.envs.tasks.horizons`."""
        return horizons(self.infos, self.horizon)

    @property
    def seed_of_goals(self) -> int:
        """The seed that decides the goals."""
        return self.seed if self.goal_seed is None else self.goal_seed

    @property
    def shape(self) -> tuple[int, int]:
        """Tasks and environments of each, `(T, E)`."""
        return len(self.names), self.num_envs_per_task

    @property
    def own_rows(self) -> slice:
        """The environments that are simulated here, of all `T E`, those of a task side by side."""
        tasks = self.peers.own(len(self.names)) if self.peers else slice(0, len(self.names))
        return slice(tasks.start * self.num_envs_per_task, tasks.stop * self.num_envs_per_task)

    def reseeded(self, seed: int) -> "Options":
        """The options with another seed, and the goals that these options have."""
        if seed == self.seed or self.backend == "envpool":  # which draws goals of its own
            return replace(self, seed=seed)
        return replace(self, seed=seed, goal_seed=self.seed_of_goals)

    def fingerprint(self) -> np.ndarray:
        """A number that differs between two makes whose numbers differ; `num_workers` changes none."""
        counts = (self.names, self.num_envs_per_task, self.seed, self.horizon, self.goal_order, self.seed_of_goals)
        # The last 0: states are saved with it in many a run.
        shown = (self.num_goals, self.reward_version, self.one_hot, self.goals_visible, 0)
        return np.array(zlib.crc32(repr((*counts, *shown)).encode()))


def _check_range(parameter: str, value: int, low: int, high: int | None) -> None:
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        rule = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
        raise ValueError(f"{parameter} must be {rule}, got {value!r}")


def _check_flag(parameter: str, value: bool) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{parameter} must be True or False, got {value!r}")


def _check_choice(parameter: str, value: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if value not in known:
        closest = difflib.get_close_matches(str(value), known, n=1, cutoff=0)[0]
        raise ValueError(f"{parameter} must be one of {known}, got {value!r}; the closest is {closest!r}")
