"""Furnished rooms: picture, 13 classes, depth and normals, as NYUv2 has them, holes included.

Axes: `H` rows and `W` columns of pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.benchmarks.vision.scenes.ray_casting import Box, Camera, Floats, View, blobs, cast, painted

BED, BOOKS, CEILING, CHAIR, FLOOR, FURNITURE, OBJECTS, PICTURE, SOFA, TABLE, TV, WALL, WINDOW = range(13)
"""NYUv2's 13 classes, counted from 0."""
STANDING = {
    # width, height, length at least and at most, in metres; colour
    BED: ((1.4, 0.4, 1.9), (2.0, 0.6, 2.1), (0.75, 0.3, 0.35)),
    CHAIR: ((0.4, 0.7, 0.4), (0.6, 1.0, 0.6), (0.8, 0.55, 0.15)),
    FURNITURE: ((0.8, 0.9, 0.4), (1.6, 2.0, 0.6), (0.5, 0.3, 0.15)),
    SOFA: ((1.5, 0.7, 0.8), (2.2, 0.9, 1.0), (0.25, 0.5, 0.3)),
    TABLE: ((0.8, 0.6, 0.7), (1.6, 0.8, 1.0), (0.7, 0.6, 0.3)),
    OBJECTS: ((0.2, 0.2, 0.2), (0.5, 0.5, 0.5), (0.85, 0.25, 0.75)),
    BOOKS: ((0.2, 0.2, 0.3), (0.4, 0.4, 0.5), (0.2, 0.3, 0.8)),
}
HANGING = {PICTURE: (0.8, 0.2, 0.15), TV: (0.06, 0.06, 0.08), WINDOW: (0.75, 0.9, 1.0)}
PLAIN = {CEILING: (0.95, 0.95, 0.95), FLOOR: (0.55, 0.45, 0.35), WALL: (0.8, 0.78, 0.65)}


class Room(NamedTuple):
    """One sample."""

    image: Floats
    """`[H, W, 3]` in [0, 1]."""
    label: NDArray[np.int64]
    """`[H, W]`, -1 where nobody looked."""
    depth: Floats
    """Metres, `[H, W, 1]`, 0 where the sensor saw nothing."""
    normal: Floats
    """Right, up and towards the viewer, `[H, W, 3]`; 0 where there is none."""


def room(size: tuple[int, int], generator: np.random.Generator) -> Room:
    """A random room of a few metres, seen from within."""
    half = generator.uniform((1.8, 1.2, 2.2), (3.5, 1.5, 4.0))
    boxes = [Box((0, float(half[1]), 0), tuple(half), 0.0, WALL, PLAIN[WALL])]
    boxes += [_standing(half, generator) for _ in range(generator.integers(4, 9))]
    boxes += [_hanging(half, generator) for _ in range(generator.integers(2, 5))]
    position = (float(generator.uniform(-0.3, 0.3)), float(generator.uniform(1.2, 1.7)), float(0.35 - half[2]))
    camera = Camera(position, float(generator.uniform(-0.35, 0.35)), float(generator.uniform(-0.3, 0.0)), 0.9)
    view = cast(camera, boxes, size)
    label = np.array([box.label for box in boxes])[view.box]
    colours = np.array([box.colour for box in boxes], np.float32)[view.box]
    for surface, up in ((FLOOR, 1), (CEILING, -1)):  # of the room itself, whose other sides are walls
        there = (view.box == 0) & (view.normal[:, 1] * up > 0.5)
        label[there], colours[there] = surface, PLAIN[surface]
    return _with_holes(view, label, painted(view, colours, PLAIN[WALL], generator), size, generator)


def _with_holes(
    view: View, label: NDArray[np.int64], image: Floats, size: tuple[int, int], generator: np.random.Generator
) -> Room:
    blind = blobs(size, 4, generator).ravel() | (label == WINDOW)  # the sensor looks through glass
    unlabelled = blobs(size, 3, generator).ravel()
    depth = np.where(blind, 0, view.depth).astype(np.float32)
    normal = np.where(blind[:, None], 0, view.camera_normals()).astype(np.float32)
    label = np.where(unlabelled, -1, label)
    return Room(image.reshape(*size, 3), label.reshape(size), depth.reshape(*size, 1), normal.reshape(*size, 3))


def _standing(half: NDArray[np.float64], generator: np.random.Generator) -> Box:
    kind = int(generator.choice(list(STANDING)))
    least, most, colour = STANDING[kind]
    extent = generator.uniform(least, most) / 2
    reach = half[[0, 2]] - np.hypot(extent[0], extent[2])
    x, z = generator.uniform((-reach[0], -0.3 * half[2]), reach)
    turn = float(generator.choice((0, np.pi / 2)) + generator.normal(0, 0.15))
    return Box((float(x), float(extent[1]), float(z)), tuple(extent), turn, kind, _varied(colour, generator))


def _hanging(half: NDArray[np.float64], generator: np.random.Generator) -> Box:
    kind = int(generator.choice(list(HANGING)))
    across, up = generator.uniform((0.3, 0.25), (0.8, 0.5))
    height = float(generator.uniform(up + 0.6, 2 * half[1] - up - 0.1))
    extent = (float(across), float(up), 0.03)
    wall = generator.integers(3)
    if wall == 0:  # ahead
        middle = (float(generator.uniform(across - half[0], half[0] - across)), height, float(half[2]))
        return Box(middle, extent, 0.0, kind, _varied(HANGING[kind], generator))
    side = float(half[0]) * (1 if wall == 1 else -1)
    middle = (side, height, float(generator.uniform(0, half[2] - across)))
    return Box(middle, extent, np.pi / 2, kind, _varied(HANGING[kind], generator))


def _varied(colour: tuple[float, float, float], generator: np.random.Generator) -> tuple[float, float, float]:
    r, g, b = np.clip(np.asarray(colour) + generator.normal(0, 0.04, 3), 0, 1)
    return float(r), float(g), float(b)
