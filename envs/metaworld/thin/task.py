"""What the thin driver has to know of a task.

Axes: n environments, d distances, m margins, k points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv

Vector = tuple[float, float, float]


class Point(NamedTuple):
    """A position that MuJoCo computes."""

    kind: Literal["body", "site", "geom"]
    name: str


class Orientation(NamedTuple):
    """A rotation that MuJoCo computes."""

    kind: Literal["quaternion", "geom matrix", "site matrix"]
    """Read as a body's quaternion (w first), or made from a matrix (w last), as metaworld does for the task."""
    name: str


class Distance(NamedTuple):
    """`norm((first - second) * scale)` of two points, by name.

    Names are `hand` (as observed), `tcp` (middle of the finger tips), `object` (as observed), `rightclaw`,
    `leftclaw`, the task's own `points`, and the constant points of its `Start`.
    """

    first: str
    second: str
    scale: Vector = (1.0, 1.0, 1.0)


XZ: Vector = (1.0, 0.0, 1.0)
"""Scale of a distance in the plane of x and z."""


class Start(NamedTuple):
    """What a reset fixes until the episode ends."""

    points: Mapping[str, np.ndarray]
    """Constant points `[3]`, `target` (the observed goal) among them."""
    margins: tuple[float, ...]
    """Further numbers of the reward: margins of its tolerances, mostly."""


class Readings(NamedTuple):
    """What a reward is computed from, after a step."""

    action: np.ndarray
    """`[n, 4]` float32, as given."""
    gripper: np.ndarray
    """`[n]`: opening, 0 to 1."""
    object: np.ndarray
    """`[n, 3]`: observed position."""
    target: np.ndarray
    """`[n, 3]`."""
    hand: np.ndarray
    """`[n, 3]`: observed position."""
    joint: np.ndarray
    """`[n]`: the task's joint; nothing of use without one."""
    points: np.ndarray
    """`[n, k, 3]`: the task's own points."""
    distances: np.ndarray
    """`[n, d]`: the task's distances."""
    margins: np.ndarray
    """`[n, m]`: as the episodes' starts gave them."""


@dataclass(frozen=True)
class ThinTask:
    """One task. Everything else is the same for all of them."""

    object: Point
    """Whose position is observed."""
    start: Callable[[SawyerXYZEnv], Start]
    """What to keep of a stock environment that was just reset."""
    reward: Callable[[Readings], tuple[np.ndarray, np.ndarray]]
    """Rewards `[n]` and successes `[n]` bool of a step."""
    distances: tuple[Distance, ...]
    """What `Readings.distances` holds."""
    object_offset: Vector = (0.0, 0.0, 0.0)
    """From that position to the observed one, m."""
    orientation: Orientation | None = None
    """Whose rotation is observed; None for zeros."""
    points: tuple[Point, ...] = ()
    """What `Readings.points` holds."""
    joint: str | None = None
    """A hinge or slide that the reward reads."""
    moved_body: str | None = None
    """The body that the model has elsewhere for each goal."""
