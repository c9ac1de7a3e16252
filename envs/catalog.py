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
    """Processor time of a step, us, as `python -m scripts.bench_tasks` measured it once, on a busy core: balances the
    simulators over workers, nothing else."""


CATALOG: Mapping[str, TaskSpec] = {
    "assembly-v3": TaskSpec((0.0, 0.6, 0.02, -0.1, 0.75, 0.1), (0.0, 0.6, 0.02, 0.1, 0.85, 0.1), 0.1, 204),
    "basketball-v3": TaskSpec((-0.1, 0.6, 0.0299, -0.1, 0.85, 0.0), (0.1, 0.7, 0.0301, 0.1, 0.9000001, 0.0), 0.15, 138),
    "bin-picking-v3": TaskSpec(
        (-0.21, 0.65, 0.02, 0.1199, 0.699, -0.001), (-0.03, 0.75, 0.02, 0.1201, 0.701, 0.001), 0.0, 184
    ),
    "box-close-v3": TaskSpec((-0.05, 0.5, 0.02, -0.1, 0.7, 0.133), (0.05, 0.55, 0.02, 0.1, 0.8, 0.133), 0.25, 211),
    "button-press-topdown-v3": TaskSpec((-0.1, 0.8, 0.115), (0.1, 0.9, 0.115), 0.0, 104),
    "button-press-topdown-wall-v3": TaskSpec((-0.1, 0.8, 0.115), (0.1, 0.9, 0.115), 0.0, 109),
    "button-press-v3": TaskSpec((-0.1, 0.85, 0.115), (0.1, 0.9, 0.115), 0.0, 119),
    "button-press-wall-v3": TaskSpec((-0.05, 0.85, 0.1149), (0.05, 0.9, 0.1151), 0.0, 116),
    "coffee-button-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 134),
    "coffee-pull-v3": TaskSpec(
        (-0.05, 0.7, -0.001, -0.1, 0.55, -0.001), (0.05, 0.75, 0.001, 0.1, 0.65, 0.001), 0.15, 193
    ),
    "coffee-push-v3": TaskSpec(
        (-0.1, 0.55, -0.001, -0.05, 0.7, -0.001), (0.1, 0.65, 0.001, 0.05, 0.75, 0.001), 0.15, 187
    ),
    "dial-turn-v3": TaskSpec((-0.1, 0.7, 0.0), (0.1, 0.8, 0.0), 0.0, 116),
    "disassemble-v3": TaskSpec((0.0, 0.6, 0.025, -0.1, 0.6, 0.1699), (0.1, 0.75, 0.02501, 0.1, 0.75, 0.1701), 0.1, 201),
    "door-close-v3": TaskSpec((0.0, 0.85, 0.15), (0.1, 0.95, 0.15), 0.0, 115),
    "door-lock-v3": TaskSpec((-0.1, 0.8, 0.15), (0.1, 0.85, 0.15), 0.0, 139),
    "door-open-v3": TaskSpec((0.0, 0.85, 0.15), (0.1, 0.95, 0.15), 0.0, 127),
    "door-unlock-v3": TaskSpec((-0.1, 0.8, 0.15), (0.1, 0.85, 0.15), 0.0, 123),
    "hand-insert-v3": TaskSpec(
        (-0.1, 0.6, 0.05, -0.04, 0.8, -0.0201), (0.1, 0.7, 0.05, 0.04, 0.88, -0.0199), 0.15, 154
    ),
    "drawer-close-v3": TaskSpec((-0.1, 0.9, 0.0), (0.1, 0.9, 0.0), 0.0, 120),
    "drawer-open-v3": TaskSpec((-0.1, 0.9, 0.0), (0.1, 0.9, 0.0), 0.0, 118),
    "faucet-open-v3": TaskSpec((-0.05, 0.8, 0.0), (0.05, 0.85, 0.0), 0.0, 112),
    "faucet-close-v3": TaskSpec((-0.1, 0.8, 0.0), (0.1, 0.85, 0.0), 0.0, 110),
    "hammer-v3": TaskSpec((-0.1, 0.4, 0.0), (0.1, 0.5, 0.0), 0.0, 190),
    "handle-press-side-v3": TaskSpec((-0.35, 0.65, -0.001), (-0.25, 0.75, 0.001), 0.0, 101),
    "handle-press-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 119),
    "handle-pull-side-v3": TaskSpec((-0.35, 0.65, 0.0), (-0.25, 0.75, 0.0), 0.0, 123),
    "handle-pull-v3": TaskSpec((-0.1, 0.8, -0.001), (0.1, 0.9, 0.001), 0.0, 124),
    "lever-pull-v3": TaskSpec((-0.1, 0.7, 0.0), (0.1, 0.8, 0.0), 0.0, 116),
    "pick-place-wall-v3": TaskSpec(
        (-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3), 0.15, 172
    ),
    "pick-out-of-hole-v3": TaskSpec((0.0, 0.75, 0.02, -0.1, 0.5, 0.15), (0.0, 0.75, 0.02, 0.1, 0.6, 0.3), 0.15, 154),
    "pick-place-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3), 0.15, 154),
    "plate-slide-v3": TaskSpec((0.0, 0.6, 0.0, -0.1, 0.85, 0.0), (0.0, 0.6, 0.0, 0.1, 0.9, 0.0), 0.0, 112),
    "plate-slide-side-v3": TaskSpec((0.0, 0.6, 0.0, -0.3, 0.54, 0.0), (0.0, 0.6, 0.0, -0.25, 0.66, 0.0), 0.0, 115),
    "plate-slide-back-v3": TaskSpec((0.0, 0.85, 0.0, -0.1, 0.6, 0.015), (0.0, 0.85, 0.0, 0.1, 0.6, 0.015), 0.0, 120),
    "plate-slide-back-side-v3": TaskSpec(
        (-0.25, 0.6, 0.0, -0.05, 0.6, 0.015), (-0.25, 0.6, 0.0, 0.15, 0.6, 0.015), 0.0, 115
    ),
    "peg-insert-side-v3": TaskSpec((0.0, 0.5, 0.02, -0.35, 0.4, -0.001), (0.2, 0.7, 0.02, -0.25, 0.7, 0.001), 0.1, 157),
    "peg-unplug-side-v3": TaskSpec((-0.25, 0.6, -0.001), (-0.15, 0.8, 0.001), 0.0, 181),
    "soccer-v3": TaskSpec((-0.1, 0.6, 0.03, -0.1, 0.8, 0.0), (0.1, 0.7, 0.03, 0.1, 0.9, 0.0), 0.15, 147),
    "stick-push-v3": TaskSpec(
        (-0.08, 0.58, 0.0, 0.399, 0.55, 0.1319), (-0.03, 0.62, 0.001, 0.401, 0.6, 0.1321), 0.1, 193
    ),
    "stick-pull-v3": TaskSpec((-0.1, 0.55, 0.0, 0.35, 0.45, 0.0199), (0.0, 0.65, 0.001, 0.45, 0.55, 0.0201), 0.1, 200),
    "push-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.01), (0.1, 0.7, 0.02, 0.1, 0.9, 0.02), 0.15, 147),
    "push-wall-v3": TaskSpec((-0.05, 0.6, 0.015, -0.05, 0.85, 0.01), (0.05, 0.65, 0.015, 0.05, 0.9, 0.02), 0.15, 158),
    "push-back-v3": TaskSpec((-0.1, 0.8, 0.02, -0.1, 0.6, 0.0199), (0.1, 0.85, 0.02, 0.1, 0.7, 0.0201), 0.15, 148),
    "reach-v3": TaskSpec((-0.1, 0.6, 0.02, -0.1, 0.8, 0.05), (0.1, 0.7, 0.02, 0.1, 0.9, 0.3), 0.15, 116),
    "reach-wall-v3": TaskSpec((-0.05, 0.6, 0.015, -0.05, 0.85, 0.05), (0.05, 0.65, 0.015, 0.05, 0.9, 0.3), 0.15, 128),
    "shelf-place-v3": TaskSpec((-0.1, 0.5, 0.019, -0.1, 0.8, 0.299), (0.1, 0.6, 0.021, 0.1, 0.9, 0.301), 0.1, 162),
    "sweep-into-v3": TaskSpec(
        (-0.1, 0.6, 0.02, -0.001, 0.8399, 0.0199), (0.1, 0.7, 0.02, 0.001, 0.8401, 0.0201), 0.15, 160
    ),
    "sweep-v3": TaskSpec((-0.1, 0.6, 0.02), (0.1, 0.7, 0.02), 0.0, 152),
    "window-open-v3": TaskSpec((-0.1, 0.7, 0.16), (0.1, 0.9, 0.16), 0.0, 109),
    "window-close-v3": TaskSpec((0.0, 0.75, 0.2), (0.0, 0.9, 0.2), 0.0, 117),
}

POINTS = ("PointEast-v0", "PointNorth-v0", "PointWest-v0", "PointSouth-v0")
"""The analytic tasks of `mtrl.envs.registered.point_goal`."""
