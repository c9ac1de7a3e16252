"""What a model gives back is what no physics reads; that simulations stay bit-equal is tested elsewhere."""

import sys

import mujoco
import numpy as np
import pytest

from mtrl.envs.metaworld.internals.memory import release_drawing_data
from tests.envs.stock import stock_env

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gives pages back to Linux")


@pytest.mark.parametrize("task", ["reach-v3", "door-open-v3", "basketball-v3"])
def test_textures_and_surfaces_go_and_the_rest_stays(task: str) -> None:
    whole, model = stock_env(task).model, stock_env(task).model
    release_drawing_data(model)
    changed = {name: given_back for name in _arrays(model) if (given_back := _changed(whole, model, name)) > 0}
    assert set(changed) <= {
        *("tex_data", "mesh_face", "mesh_facenormal", "mesh_facetexcoord", "mesh_normal", "mesh_texcoord"),
        *("bvh_aabb", "bvh_child", "bvh_depth", "bvh_nodeid"),
    }
    assert sum(changed.values()) > 10e6
    of_bodies = int(model.body_bvhnum.sum())
    for name in ("bvh_aabb", "bvh_child", "bvh_depth", "bvh_nodeid"):
        np.testing.assert_array_equal(getattr(model, name)[:of_bodies], getattr(whole, name)[:of_bodies])


def _arrays(model: mujoco.MjModel) -> list[str]:
    return [name for name in dir(model) if not name.startswith("_") and isinstance(getattr(model, name), np.ndarray)]


def _changed(whole: mujoco.MjModel, model: mujoco.MjModel, name: str) -> int:
    """Bytes of an array, if it differs."""
    before, after = getattr(whole, name), getattr(model, name)
    return 0 if np.array_equal(before, after, equal_nan=before.dtype.kind == "f") else before.nbytes
