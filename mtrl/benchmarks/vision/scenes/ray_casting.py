"""Ray casting of boxes: which one each pixel sees, how far away, and how its surface lies.

Axes: `P` pixels, `N` boxes. The world has x to the right, y up and z ahead, in metres.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NOTHING = -1
"""In place of a box where a ray meets none."""


class Box(NamedTuple):
    """A box on its base, turned about the vertical; seen from within, its walls are."""

    middle: tuple[float, float, float]
    half: tuple[float, float, float]
    """Half its extents."""
    turn: float
    """Radians about the vertical."""
    label: int
    colour: tuple[float, float, float]
    """Red, green and blue in [0, 1]."""


class Camera(NamedTuple):
    """A pinhole; the horizon is in the middle of the picture if it is not tilted."""

    position: tuple[float, float, float]
    turn: float
    """Radians about the vertical, to the right."""
    tilt: float
    """Radians, upwards."""
    focal: float
    """Focal length over the picture's width."""


class View(NamedTuple):
    """What a camera sees, pixels row by row; the last axis of vectors is x, y, z."""

    depth: Floats
    """Along the optical axis, metres, `[P]`; infinite where there is nothing."""
    box: Ints
    """`[P]`, `NOTHING` where there is nothing."""
    normal: Floats
    """Unit, towards the camera, in the world's axes, `[P, 3]`; zero where there is nothing."""
    point: Floats
    """In the world, `[P, 3]`."""
    axes: Floats
    """The camera's right, up and forward, `[3, 3]`."""

    def camera_normals(self) -> Floats:
        """Normals along the camera's axes: right, up, and towards the viewer; `[P, 3]`."""
        right, up, forward = self.axes
        return self.normal @ np.stack((right, up, -forward), -1)


def cast(camera: Camera, boxes: list[Box], size: tuple[int, int]) -> View:
    """A picture of `size` rows and columns."""
    axes, rays = _rays(camera, size)
    origin = np.asarray(camera.position, np.float32)
    depth = np.full(len(rays), np.inf, np.float32)
    which = np.full(len(rays), NOTHING)
    normal = np.zeros_like(rays)
    for number, box in enumerate(boxes):
        distance, its_normal = _meet(origin, rays, box)
        nearer = distance < depth
        depth[nearer], which[nearer], normal[nearer] = distance[nearer], number, its_normal[nearer]
    point = origin + np.where(np.isfinite(depth), depth, 0)[:, None] * rays
    return View(depth, which, normal, point.astype(np.float32), axes)


def _rays(camera: Camera, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """The camera's axes, and a direction per pixel whose part along the optical axis is 1: `t` of a ray is a depth."""
    height, width = size
    (a, b), (c, d) = ((np.cos(x), np.sin(x)) for x in (camera.turn, camera.tilt))
    axes = np.array([[a, 0, -b], [-b * d, c, -a * d], [b * c, d, a * c]], np.float32)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / (camera.focal * width)
    y = (height / 2 - np.arange(height, dtype=np.float32) - 0.5) / (camera.focal * width)
    across, up = np.meshgrid(x, y)
    return axes, np.stack((across.ravel(), up.ravel(), np.ones(height * width, np.float32)), -1) @ axes


def _meet(origin: Floats, rays: Floats, box: Box) -> tuple[Floats, Floats]:
    """Distances `[P]`, infinite where the box is missed, and normal `[P, 3]` of the first surface in front."""
    cos, sin = np.cos(box.turn), np.sin(box.turn)
    to_box = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)  # columns: the box's axes in the world
    start = (origin - np.asarray(box.middle, np.float32)) @ to_box
    along = rays @ to_box
    along = np.where(np.abs(along) < 1e-9, np.float32(1e-9), along)
    half = np.asarray(box.half, np.float32)
    near, far = (-np.sign(along) * half - start) / along, (np.sign(along) * half - start) / along
    enter, leave = near.max(-1), far.min(-1)
    inside = enter < 0
    distance = np.where(inside, leave, enter)
    distance = np.where((leave >= enter) & (leave > 0), distance, np.inf).astype(np.float32)
    axis = np.where(inside, far.argmin(-1), near.argmax(-1))
    rows = np.arange(len(rays))
    normal = np.zeros_like(along)
    normal[rows, axis] = -np.sign(along[rows, axis])
    return distance, normal @ to_box.T


def painted(view: View, colours: Floats, haze: tuple[float, float, float], generator: np.random.Generator) -> Floats:
    """The picture, `[P, 3]` in [0, 1], of surfaces of these colours `[P, 3]`: a pattern, light from above, haze, noise.

    Where a ray met nothing, its colour stays as it is.
    """
    light = np.array([0.3, 0.8, -0.5], np.float32)
    shade = 0.55 + 0.45 * np.clip(view.normal @ (light / np.linalg.norm(light)), 0, 1)
    pattern = 1 - 0.12 * (np.floor(view.point * 2).sum(-1) % 2)
    hit = view.box != NOTHING
    picture = colours * np.where(hit, shade * pattern, 1)[:, None]
    clear = np.where(hit, np.exp(-view.depth / 60), 1)[:, None]
    picture = clear * picture + (1 - clear) * np.asarray(haze, np.float32)
    picture += generator.normal(0, 0.02, picture.shape)
    return np.clip(picture, 0, 1).astype(np.float32)


def blobs(size: tuple[int, int], number: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Ellipses at random places, `[H, W]`: where a sensor or an annotator has no answer."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    found = np.zeros(size, bool)
    for _ in range(number):
        middle, half = generator.uniform(0, 1, 2), generator.uniform(0.02, 0.08, 2)
        found |= ((y / height - middle[0]) / half[0]) ** 2 + ((x / width - middle[1]) / half[1]) ** 2 < 1
    return found
