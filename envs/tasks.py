"""Which tasks a name stands for, and how large their observations and actions are."""

import difflib
from collections.abc import Iterable, Sequence

from mtrl.envs.catalog import CATALOG, POINTS
from mtrl.envs.interface import ACTION_SIZE, OBSERVATION_SIZE, Sizes
from mtrl.envs.registered.registry import common_sizes, is_registered

MT10 = (
    "reach-v3",
    "push-v3",
    "pick-place-v3",
    "door-open-v3",
    "drawer-open-v3",
    "drawer-close-v3",
    "button-press-topdown-v3",
    "peg-insert-side-v3",
    "window-open-v3",
    "window-close-v3",
)
"""The ten tasks of MT10, in Meta-World's order."""

MT25 = (
    *MT10,
    "coffee-pull-v3",
    "pick-out-of-hole-v3",
    "disassemble-v3",
    "pick-place-wall-v3",
    "basketball-v3",
    "stick-pull-v3",
    "button-press-wall-v3",
    "faucet-open-v3",
    "door-lock-v3",
    "lever-pull-v3",
    "sweep-into-v3",
    "faucet-close-v3",
    "coffee-button-v3",
    "button-press-topdown-wall-v3",
    "dial-turn-v3",
)
"""The 25 tasks of MT25, in Meta-World's order."""

MT50 = tuple(CATALOG)
"""All fifty tasks, in Meta-World's order."""

_BENCHMARKS = {
    "MT10": MT10,
    "MT25": MT25,
    "MT50": MT50,
    "Points": POINTS,
    **{f"MT1:{name}": (name,) for name in CATALOG},
}


def task_names(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """The names of `tasks`, in the order of the task axis (in which Meta-World's goals are drawn).

    Args:
        tasks: a benchmark (`"MT10"`, `"MT25"`, `"MT50"`, `"MT1:reach-v3"`, `"Points"`), or a sequence of different
            Meta-World V3 names or of different names that Gymnasium knows (`"Name-v0"`, `"module:Name-v0"`).

    Raises:
        ValueError: for an unknown name (with the closest known one), a repeated name, no name at all, or a mixture
            of Meta-World and others.
    """
    if isinstance(tasks, str):
        if tasks not in _BENCHMARKS:
            raise ValueError(f"tasks: {_unknown('benchmark', tasks, _BENCHMARKS)}")
        return _BENCHMARKS[tasks]
    if not isinstance(tasks, Sequence) or not all(isinstance(name, str) for name in tasks):
        raise ValueError(f"tasks must be a benchmark's name or names of tasks, got {tasks!r}")
    names = tuple(tasks)
    if not names:
        raise ValueError("tasks needs at least one task name, got none")
    for name in names:
        if name not in CATALOG and not is_registered(name):
            raise ValueError(f"tasks: {_unknown('task', name, CATALOG)}")
        if names.count(name) > 1:
            raise ValueError(f"tasks names a task once, got {name!r} {names.count(name)} times")
    strange = [name for name in names if name not in CATALOG]
    if 0 < len(strange) < len(names):
        own = next(name for name in names if name in CATALOG)
        raise ValueError(
            f"tasks must be all Meta-World's or none, got {own!r} (Meta-World) and {strange[0]!r} (Gymnasium)"
        )
    return names


def are_metaworld(names: Sequence[str]) -> bool:
    """Whether these `task_names` are Meta-World's; if not, they are registered Gymnasium environments."""
    return names[0] in CATALOG


def sizes(tasks: str | Sequence[str], one_hot: bool = False) -> Sizes:
    """The sizes that `mtrl.envs.make(tasks, one_hot=one_hot)` has, without making it. Raises ValueError as it does.

    Registered environments are made once each to be looked at.
    """
    names = task_names(tasks)
    own = Sizes(OBSERVATION_SIZE, ACTION_SIZE) if are_metaworld(names) else common_sizes(names)
    return own._replace(observation=own.observation + one_hot * len(names))


def _unknown(kind: str, name: object, known: Iterable[str]) -> str:
    closest = difflib.get_close_matches(str(name), known, n=1, cutoff=0)
    return f"unknown {kind} {name!r}; the closest is {closest[0]!r}"
