"""Memory that stock environments do not need to be stepped, given back to the system."""

import ctypes
import mmap
import sys
from collections.abc import Iterator

import mujoco
import numpy as np

_FIELDS = ("tex_data", "mesh_face", "mesh_facenormal", "mesh_facetexcoord", "mesh_normal", "mesh_texcoord")
"""Textures, and surfaces beyond the vertices and hulls that collide."""
_BOXES = ("bvh_aabb", "bvh_child", "bvh_depth", "bvh_nodeid")
"""Trees of boxes: bodies' for collisions, then meshes', which rays meet."""


def forget_compilation() -> None:
    """MuJoCo keeps what it compiled last, 40 MB, to save it on request, and glibc what the compiler freed."""
    mujoco.MjModel.from_xml_string("<mujoco/>")
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def release_drawing_data(model: mujoco.MjModel) -> None:
    """Give the memory of a model's pictures and surfaces back, 15 of its 20 MB; they read as zeros from then on.

    Physics reads none of them, so that it stays bit-equal; drawing, and casting rays, need a model of their own.
    """
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for array in _arrays(model):
        start = array.__array_interface__["data"][0]
        first, end = -(-start // mmap.PAGESIZE), (start + array.nbytes) // mmap.PAGESIZE
        if first < end:
            advise(first * mmap.PAGESIZE, (end - first) * mmap.PAGESIZE, mmap.MADV_DONTNEED)


def _arrays(model: mujoco.MjModel) -> Iterator[np.ndarray]:
    yield from (getattr(model, field) for field in _FIELDS)
    of_meshes = model.mesh_bvhadr[model.mesh_bvhadr >= 0]
    if len(of_meshes):
        yield from (getattr(model, field)[of_meshes.min() :] for field in _BOXES)
