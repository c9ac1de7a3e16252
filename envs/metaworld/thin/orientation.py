"""What the observed rotation of one environment's object is read from."""

import mujoco
import numpy as np

from mtrl.envs.metaworld.thin.task import Orientation


def source(orientation: Orientation, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """What metaworld's `_get_quat_objects` reads, live: a quaternion `[4]`, or a matrix `[9]` to make one from."""
    named, values = {
        "quaternion": (model.body, data.xquat),
        "geom matrix": (model.geom, data.geom_xmat),
        "site matrix": (model.site, data.site_xmat),
    }[orientation.kind]
    return values[named(orientation.name).id]
