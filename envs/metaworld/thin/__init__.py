"""Tasks stepped by MuJoCo's own functions, observed and rewarded for all environments at once."""

from mtrl.envs.metaworld.thin.simulators import Group, ThinSimulators
from mtrl.envs.metaworld.thin.tasks import THIN_TASKS

__all__ = ["THIN_TASKS", "Group", "ThinSimulators"]
