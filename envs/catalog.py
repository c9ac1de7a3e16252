"""The fifty tasks of Meta-World V3, in the order of metaworld's own table, and four small ones of our own.

The numbers of CATALOG restate `metaworld==3.1.1`; a test compares every row with the package.
"""

from collections.abc import Mapping
from typing import NamedTuple


class TaskSpec(NamedTuple):
    """What has to be known of a task without building its simulator."""

    low: tuple[float, ...]
    """Lower corner of the box of goal vectors: object and/or goal position, 3 or 6 numbers, m."""
    high: tuple[float, ...]
    """Upper corner of that box."""
    min_distance: float
    """A vector is drawn again while its numbers 0:2 and 3:5 are closer than this, m; 0 for no such rule."""
    cost_us: float
    """Time of a step, us, measured once on one core by `scripts/bench_tasks.py`: balances the simulators over workers,
    nothing else."""


CATALOG: Mapping[str, TaskSpec] = {
    "assembly-v3": TaskSpec((0.0, 0.6, 0.02, -0.1, 0.75, 0.1), (0.0, 0.6, 0.02, 0.1, 0.85, 0.1), 0.1, 173),
    "basketball-v3": TaskSpec((-0.1, 0.6, 0.0299, -0.1, 0.85, 0.0), (0.1, 0.7, 0.0301, 0.1, 0.9000001, 0.0), 0.15, 108),
    "bin-picking-v3": TaskSpec(
        (-0.21, 0.65, 0.02, 0.1199, 0.699, -0.001), (-0.03, 0.75, 0.02, 0.1201, 0.701, 0.001), 0.0, 118
    ),
    "box-close-v3": TaskSpec((-0.05, 0.5, 0.02, -0.1, 0.7, 0.133), (0.05, 0.55, 0.02, 0.1, 0.8, 0.133), 0.25, 165),
    "button-press-topdown-v3": TaskSpec((-0.1, 0.8, 0.115), (0.1, 0.9, 0.115), 0.0, 73),
    "button-press-topdown-wall-v3": TaskSpec((-0.1, 0.8, 0.115), (0.1, 0.9, 0.115), 0.0, 80),
    "button-press-v3": TaskSpec((-0.1, 0.85, 0.115), (0.1, 0.9, 0.115), 0.0, 90),
    "button-press-wall-v3": TaskSpec((-0.05, 0.85, 0.1149), (0.05, 0.9, 0.1151), 0.0, 96),
    "coffee-button-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 96),
    "coffee-pull-v3": TaskSpec(
        (-0.05, 0.7, -0.001, -0.1, 0.55, -0.001), (0.05, 0.75, 0.001, 0.1, 0.65, 0.001), 0.15, 136
    ),
    "coffee-push-v3": TaskSpec(
        (-0.1, 0.55, -0.001, -0.05, 0.7, -0.001), (0.1, 0.65, 0.001, 0.05, 0.75, 0.001), 0.15, 125
    ),
    "dial-turn-v3": TaskSpec((-0.1, 0.7, 0.0), (0.1, 0.8, 0.0), 0.0, 121),
    "disassemble-v3": TaskSpec((0.0, 0.6, 0.025, -0.1, 0.6, 0.1699), (0.1, 0.75, 0.02501, 0.1, 0.75, 0.1701), 0.1, 156),
    "door-close-v3": TaskSpec((0.0, 0.85, 0.15), (0.1, 0.95, 0.15), 0.0, 85),
    "door-lock-v3": TaskSpec((-0.1, 0.8, 0.15), (0.1, 0.85, 0.15), 0.0, 123),
    "door-open-v3": TaskSpec((0.0, 0.85, 0.15), (0.1, 0.95, 0.15), 0.0, 86),
    "door-unlock-v3": TaskSpec((-0.1, 0.8, 0.15), (0.1, 0.85, 0.15), 0.0, 135),
    "hand-insert-v3": TaskSpec(
        (-0.1, 0.6, 0.05, -0.04, 0.8, -0.0201), (0.1, 0.7, 0.05, 0.04, 0.88, -0.0199), 0.15, 113
    ),
    "drawer-close-v3": TaskSpec((-0.1, 0.9, 0.0), (0.1, 0.9, 0.0), 0.0, 84),
    "drawer-open-v3": TaskSpec((-0.1, 0.9, 0.0), (0.1, 0.9, 0.0), 0.0, 78),
    "faucet-open-v3": TaskSpec((-0.05, 0.8, 0.0), (0.05, 0.85, 0.0), 0.0, 81),
    "faucet-close-v3": TaskSpec((-0.1, 0.8, 0.0), (0.1, 0.85, 0.0), 0.0, 86),
    "hammer-v3": TaskSpec((-0.1, 0.4, 0.0), (0.1, 0.5, 0.0), 0.0, 144),
    "handle-press-side-v3": TaskSpec((-0.35, 0.65, -0.001), (-0.25, 0.75, 0.001), 0.0, 77),
    "handle-press-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 83),
    "handle-pull-side-v3": TaskSpec((-0.35, 0.65, 0.0), (-0.25, 0.75, 0.0), 0.0, 98),
    "handle-pull-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 89),
    "lever-pull-v3": TaskSpec((-0.1, 0.7, 0.0), (0.1, 0.8, 0.0), 0.0, 77),
    "pick-place-wall-v3": TaskSpec(
        (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3), 0.15, 112
    ),
    "pick-out-of-hole-v3": TaskSpec((0.0, 0.75, 0.02, -0.1, 0.5, 0.15), (0.0, 0.75, 0.02, 0.1, 0.6, 0.3), 0.15, 101),
    "pick-place-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3), 0.15, 90),
    "plate-slide-v3": TaskSpec((0.0, 0.6, 0.0, -0.1, 0.85, 0.0), (0.0, 0.6, 0.0, 0.1, 0.9, 0.0), 0.0, 75),
    "plate-slide-side-v3": TaskSpec((0.0, 0.6, 0.0, -0.3, 0.54, 0.0), (0.0, 0.6, 0.0, -0.25, 0.66, 0.0), 0.0, 80),
    "plate-slide-back-v3": TaskSpec((0.0, 0.85, 0.0, -0.1, 0.6, 0.015), (0.0, 0.85, 0.0, 0.1, 0.6, 0.015), 0.0, 86),
    "plate-slide-back-side-v3": TaskSpec(
        (-0.25, 0.6, 0.0, -0.05, 0.6, 0.015), (-0.25, 0.6, 0.0, 0.15, 0.6, 0.015), 0.0, 85
    ),
    "peg-insert-side-v3": TaskSpec((0.0, 0.5, 0.02, -0.35, 0.4, -0.001), (0.2, 0.7, 0.02, -0.25, 0.7, 0.001), 0.1, 95),
    "peg-unplug-side-v3": TaskSpec((-0.25, 0.6, -0.001), (-0.15, 0.8, 0.001), 0.0, 147),
    "soccer-v3": TaskSpec((-0.1, 0.6, 0.03, -0.1, 0.8, 0.0), (0.1, 0.7, 0.03, 0.1, 0.9, 0.0), 0.15, 106),
    "stick-push-v3": TaskSpec(
        (-0.08, 0.58, 0.0, 0.399, 0.55, 0.1319), (-0.03, 0.62, 0.001, 0.401, 0.6, 0.1321), 0.1, 138
    ),
    "stick-pull-v3": TaskSpec((-0.1, 0.55, 0.0, 0.35, 0.45, 0.0199), (0.0, 0.65, 0.001, 0.45, 0.55, 0.0201), 0.1, 148),
    "push-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.01), (0.1, 0.7, 0.02, 0.1, 0.9, 0.02), 0.15, 89),
    "push-wall-v3": TaskSpec((-0.05, 0.6, 0.015, -0.05, 0.85, 0.01), (0.05, 0.65, 0.015, 0.05, 0.9, 0.02), 0.15, 120),
    "push-back-v3": TaskSpec((-0.1, 0.8, 0.02, -0.1, 0.6, 0.0199), (0.1, 0.85, 0.02, 0.1, 0.7, 0.0201), 0.15, 110),
    "reach-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3), 0.15, 80),
    "reach-wall-v3": TaskSpec((-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3), 0.15, 88),
    "shelf-place-v3": TaskSpec((-0.1, 0.5, 0.019, -0.1, 0.8, 0.299), (0.1, 0.6, 0.021, 0.1, 0.9, 0.301), 0.1, 122),
    "sweep-into-v3": TaskSpec(
        (-0.1, 0.6, 0.02, -0.001, 0.8399, 0.0199), (0.1, 0.7, 0.02, 0.001, 0.8401, 0.0201), 0.15, 107
    ),
    "sweep-v3": TaskSpec((-0.1, 0.6, 0.02), (0.1, 0.7, 0.02), 0.0, 108),
    "window-open-v3": TaskSpec((-0.1, 0.7, 0.16), (0.1, 0.9, 0.16), 0.0, 73),
    "window-close-v3": TaskSpec((0.0, 0.75, 0.2), (0.0, 0.9, 0.2), 0.0, 81),
}

POINTS = ("PointEast-v0", "PointNorth-v0", "PointWest-v0", "PointSouth-v0")
"""The analytic tasks of `mtrl.envs.registered.point_goal`."""
