"""The positions that observations and rewards need, of all environments in one array.

Axes: n environments of all tasks, of which one task has m; d distances and k points of that task's own.
"""

from collections.abc import Iterator, Sequence
from typing import final

import mujoco
import numpy as np

from mtrl.envs.metaworld.thin.layout import CLAWS, FINGER_TIPS, HAND, OBJECT, TARGET, TCP, WRIST, Layout
from mtrl.envs.metaworld.thin.task import Point, Start, ThinTask


@final
class Points:
    """A line of positions: for each environment hand, tool centre, object and constants, then arrays of MuJoCo's.

    Copying all bodies and all sites of an environment takes two calls; picking them apart afterwards takes two for
    all environments together.
    """

    def __init__(self, tasks: Sequence[ThinTask], models: Sequence[mujoco.MjModel], counts: Sequence[int]) -> None:
        """`counts`: m of each task; the environments of a task stand side by side."""
        layouts = [Layout(task, model) for task, model in zip(tasks, models, strict=True)]
        members = [layout for layout, count in zip(layouts, counts, strict=True) for _ in range(count)]
        num_worked_out = max(len(layout.worked_out) for layout in layouts)
        sizes = [layout.size for layout in members]
        # First what is worked out here, [n, num_worked_out, 3]; then what is copied.
        self._firsts = len(members) * num_worked_out + np.cumsum([0, *sizes[:-1]])
        self._line = np.zeros((len(members) * num_worked_out + sum(sizes), 3))
        self._worked_out = self._line[: len(members) * num_worked_out].reshape(len(members), num_worked_out, 3)
        self._members = members

        def row(number: int, name: str | Point) -> int:
            layout = members[number]
            place = layout.place_of(name)
            return number * num_worked_out + place if name in layout.worked_out else int(self._firsts[number]) + place

        read = [(WRIST, layout.task.object, *FINGER_TIPS) for layout in members]
        self._read = np.array([[row(number, point) for point in points] for number, points in enumerate(read)])
        self._offsets = np.array([layout.task.object_offset for layout in members])
        # The distance between the claws comes first: all observations need it.
        pairs = [(row(number, CLAWS[0]), row(number, CLAWS[1])) for number in range(len(members))]
        scales = [(1.0, 1.0, 1.0)] * len(members)
        own: list[int] = []
        self._distances_of: list[tuple[slice, tuple[int, int]]] = []
        self._own_of: list[tuple[slice, tuple[int, int, int]]] = []
        last = 0
        for task, count in zip(tasks, counts, strict=True):
            first, last = last, last + count
            first_pair, first_own = len(pairs), len(own)
            for number in range(first, last):
                pairs += [(row(number, each.first), row(number, each.second)) for each in task.distances]
                scales += [each.scale for each in task.distances]
                own += [row(number, point) for point in task.points]
            self._distances_of.append((slice(first_pair, len(pairs)), (count, len(task.distances))))
            self._own_of.append((slice(first_own, len(own)), (count, len(task.points), 3)))
        self._from, self._to = np.array(pairs).T.copy()
        self._scale = np.array(scales)
        self._own = np.array(own, dtype=np.intp)

    def sources(self, number: int, data: mujoco.MjData) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What to copy after each step of environment `number`: pairs of views, where to and where from."""
        first = self._firsts[number]
        for field, block in self._members[number].blocks:
            yield self._line[first + block.start : first + block.stop], getattr(data, field)

    def start(self, number: int, start: Start) -> None:
        """Write the constant points of an episode."""
        for name, place in self._members[number].constants.items():
            self._worked_out[number, place] = start.points[name]

    def read_hand_and_object(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of hand and object, `[n, 3]`, as MuJoCo has them; the tool centre is worked out too."""
        hand, thing, right, left = self._line.take(self._read, axis=0).swapaxes(0, 1)
        self._worked_out[:, TCP] = (right + left) / 2.0
        thing += self._offsets
        self._worked_out[:, OBJECT] = thing
        return hand, thing

    def observed(self, hand: np.ndarray) -> None:
        """Take the hand's position as observed, `[n, 3]`, for the distances."""
        self._worked_out[:, HAND] = hand

    def distances(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Between the claws `[n]`, and each task's own `[m, d]`."""
        vectors = self._line.take(self._from, axis=0)
        vectors -= self._line.take(self._to, axis=0)
        vectors *= self._scale
        distances = np.sqrt(np.vecdot(vectors, vectors))  # a dot product, as in numpy's norm: the same last bit
        own = [distances[rows].reshape(shape) for rows, shape in self._distances_of]
        return distances[: len(self._members)], own

    def own(self) -> list[np.ndarray]:
        """Each task's own points, `[m, k, 3]`."""
        points = self._line.take(self._own, axis=0)
        return [points[rows].reshape(shape) for rows, shape in self._own_of]

    @property
    def hand(self) -> np.ndarray:
        """`[n, 3]`, as observed."""
        return self._worked_out[:, HAND]

    @property
    def object(self) -> np.ndarray:
        """`[n, 3]`, as observed."""
        return self._worked_out[:, OBJECT]

    @property
    def target(self) -> np.ndarray:
        """`[n, 3]`."""
        return self._worked_out[:, TARGET]
