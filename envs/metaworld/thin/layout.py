"""Where an environment of a task has its positions."""

from typing import final

import mujoco

from mtrl.envs.metaworld.thin.task import Point, ThinTask

HAND, TCP, OBJECT, TARGET = range(4)
"""Places of what is worked out for every task; the task's constants follow."""
CLAWS = (Point("body", "rightclaw"), Point("body", "leftclaw"))
FINGER_TIPS = (Point("site", "rightEndEffector"), Point("site", "leftEndEffector"))
WRIST = Point("body", "hand")
_FIELDS = {"body": "xpos", "site": "site_xpos", "geom": "geom_xpos"}
"""Where MuJoCo has the positions of a kind."""


@final
class Layout:
    """Rows for what is worked out, and rows for what is copied from MuJoCo."""

    def __init__(self, task: ThinTask, model: mujoco.MjModel) -> None:
        self.task = task
        self._model = model
        self.worked_out = {"hand": HAND, "tcp": TCP, "object": OBJECT, "target": TARGET}
        self._named = {point.name: point for point in (*CLAWS, *task.points)}
        for distance in task.distances:
            for name in (distance.first, distance.second):
                if name not in self._named:
                    self.worked_out.setdefault(name, len(self.worked_out))
        self.constants = {name: place for name, place in self.worked_out.items() if place >= TARGET}
        kinds = {point.kind for point in (WRIST, *FINGER_TIPS, task.object, *task.points)}
        self.blocks: list[tuple[str, slice]] = []
        self._firsts: dict[str, int] = {}
        self.size = 0
        for kind, field in _FIELDS.items():
            if kind in kinds:
                self._firsts[kind] = self.size
                self.size += {"body": model.nbody, "site": model.nsite, "geom": model.ngeom}[kind]
                self.blocks.append((field, slice(self._firsts[kind], self.size)))

    def place_of(self, name: str | Point) -> int:
        """Among what is worked out, or among what is copied."""
        if name in self.worked_out:
            return self.worked_out[name]
        point = self._named[name] if isinstance(name, str) else name
        return self._firsts[point.kind] + getattr(self._model, point.kind)(point.name).id
