"""Streets: picture, Cityscapes' label ids, instances and depth.

Axes: `H` rows and `W` columns of pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtrl.benchmarks.vision.scenes.ray_casting import NOTHING, Box, Camera, Floats, blobs, cast, painted

EGO_VEHICLE, ROAD, SIDEWALK, BUILDING, FENCE, POLE, LIGHT, SIGN = 1, 7, 8, 11, 13, 17, 19, 20
VEGETATION, TERRAIN, SKY, PERSON, CAR, TRUCK, BUS, BICYCLE = 21, 22, 23, 24, 26, 27, 28, 33
"""Cityscapes' label ids."""
FIRST_COUNTED = 24
"""Labels from here on are told apart by instance: ids `1000 label + number`."""
THINGS = {
    # half width, height and length in metres, colour
    PERSON: ((0.25, 0.88, 0.25), (0.85, 0.1, 0.25)),
    CAR: ((0.9, 0.75, 2.1), (0.1, 0.15, 0.55)),
    TRUCK: ((1.2, 1.6, 3.5), (0.25, 0.1, 0.4)),
    BUS: ((1.3, 1.6, 5.5), (0.1, 0.4, 0.45)),
    BICYCLE: ((0.2, 0.6, 0.9), (0.5, 0.1, 0.15)),
}
AT_THE_SIDE = {
    POLE: ((0.08, 2.5, 0.08), (0.6, 0.6, 0.62)),
    LIGHT: ((0.2, 0.5, 0.2), (0.95, 0.7, 0.15)),
    SIGN: ((0.4, 0.4, 0.05), (0.9, 0.85, 0.1)),
    VEGETATION: ((1.2, 2.2, 1.2), (0.35, 0.5, 0.15)),
    FENCE: ((0.08, 0.6, 3.0), (0.7, 0.55, 0.55)),
}
SKY_COLOUR = (0.45, 0.65, 0.9)


class Street(NamedTuple):
    """One sample."""

    image: Floats
    """`[H, W, 3]` in [0, 1]."""
    label: NDArray[np.int64]
    """Label ids, `[H, W]`; 0 where nobody looked."""
    instance: NDArray[np.int64]
    """`[H, W]`: `1000 label + number`, or the label id of what is not counted."""
    depth: Floats
    """Metres, `[H, W]`; infinite where nothing was measured."""


def street(size: tuple[int, int], generator: np.random.Generator) -> Street:
    """A random straight street, seen from a car."""
    boxes = [_ground(0, 4.5, ROAD, (0.4, 0.35, 0.42), 0.0), _ground(0, 200, TERRAIN, (0.6, 0.75, 0.45), -0.02)]
    boxes += [_ground(side * 6.5, 2, SIDEWALK, (0.75, 0.5, 0.7), 0.12) for side in (-1, 1)]
    for side in (-1, 1):
        boxes += _at_the_side(side, generator)
    boxes += [_thing(number, generator) for number in range(generator.integers(4, 10))]
    camera = Camera((float(generator.uniform(-1, 1)), 1.5, 0.0), float(generator.normal(0, 0.04)), -0.04, 1.1)
    view = cast(camera, boxes, size)
    seen = view.box != NOTHING
    label = np.where(seen, np.array([box.label for box in boxes])[view.box], SKY)
    colours = np.array([*(box.colour for box in boxes), SKY_COLOUR], np.float32)[view.box]
    image = painted(view, colours, SKY_COLOUR, generator).reshape(*size, 3)
    counted = label >= FIRST_COUNTED
    instance = np.where(counted, 1000 * label + view.box % 1000, label)
    bonnet = np.broadcast_to(np.arange(size[0])[:, None] >= 0.94 * size[0], size)
    unlabelled, blind = blobs(size, 2, generator), blobs(size, 4, generator)
    image[bonnet] = (0.15, 0.15, 0.18)
    label, instance = (
        np.where(bonnet, EGO_VEHICLE, np.where(unlabelled, 0, x.reshape(size))) for x in (label, instance)
    )
    depth = np.where(bonnet | blind, np.inf, view.depth.reshape(size)).astype(np.float32)
    return Street(image, label, instance, depth)


def _ground(x: float, half: float, label: int, colour: tuple[float, float, float], top: float) -> Box:
    return Box((x, top - 1, 150), (half, 1, 160), 0.0, label, colour)


def _at_the_side(side: int, generator: np.random.Generator) -> list[Box]:
    """Buildings with gaps, and in front of them poles, signs, trees and fences."""
    boxes, z = [], 5.0
    while z < 120:
        deep, high = float(generator.uniform(4, 10)), float(generator.uniform(3, 9))
        shade = float(generator.uniform(-0.08, 0.08))
        colour = (0.5 + shade, 0.42 + shade, 0.36 + shade)
        boxes.append(Box((side * 13.0, high, z + deep), (4, high, deep), 0.0, BUILDING, colour))
        z += 2 * deep + float(generator.uniform(0, 6))
    for _ in range(generator.integers(4, 9)):
        kind = int(generator.choice(list(AT_THE_SIDE)))
        half, colour = AT_THE_SIDE[kind]
        above = 2.5 if kind in (LIGHT, SIGN) else 0.0
        middle = (side * float(generator.uniform(5, 8)), above + half[1], float(generator.uniform(6, 60)))
        boxes.append(Box(middle, half, 0.0, kind, colour))
    return boxes


def _thing(number: int, generator: np.random.Generator) -> Box:
    kind = int(generator.choice(list(THINGS), p=(0.25, 0.45, 0.1, 0.1, 0.1)))
    half, colour = THINGS[kind]
    on_the_side = kind in (PERSON, BICYCLE) and generator.random() < 0.7
    x = float(generator.choice((-1, 1)) * generator.uniform(5, 8) if on_the_side else generator.uniform(-3.5, 3.5))
    place = (x, half[1] + 0.12 * on_the_side, 5 + half[2] + 6 * number + float(generator.uniform(0, 5)))
    return Box(place, half, float(generator.normal(0, 0.1)), kind, colour)
