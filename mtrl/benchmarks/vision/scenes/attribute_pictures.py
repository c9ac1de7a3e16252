"""Pictures with forty attributes that can be seen: each is a shape of its own form, colour and place."""

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 8, 5
COLOURS = np.array(
    [
        (230, 40, 40),
        (40, 200, 60),
        (60, 90, 240),
        (240, 220, 40),
        (230, 60, 220),
        (40, 220, 220),
        (250, 150, 40),
        (250, 250, 250),
    ]
)
"""Of the attributes of a row."""


def frequencies(generator: np.random.Generator) -> NDArray[np.float64]:
    """How often each attribute is there, `[40]`: some seldom, some nearly always, as CelebA's."""
    return generator.uniform(0.1, 0.8, ROWS * COLUMNS)


def picture(there: NDArray[np.bool_], size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draws the attributes of `there [40]` on a dark ground, `[H, W, 3]`."""
    height, width = size
    ground = generator.integers(20, 90, 3)
    image = np.tile(ground.astype(np.float64), (height, width, 1))
    cell = np.array([height / ROWS, width / COLUMNS])
    y, x = np.mgrid[:height, :width]
    for attribute in np.flatnonzero(there):
        row, column = divmod(int(attribute), COLUMNS)
        middle = (np.array([row, column]) + 0.5 + generator.uniform(-0.08, 0.08, 2)) * cell
        radius = generator.uniform(0.34, 0.42) * cell
        image[_shape(column, (y - middle[0]) / radius[0], (x - middle[1]) / radius[1])] = COLOURS[row]
    image += generator.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _shape(kind: int, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Disc, square, triangle, cross or ring within the unit circle."""
    square = np.maximum(abs(y), abs(x))
    if kind == 0:
        return y**2 + x**2 < 1
    if kind == 1:
        return square < 0.8
    if kind == 2:
        return (y > -0.9) & (y < 0.8) & (abs(x) < (y + 0.9) / 1.7)
    if kind == 3:
        return (square < 0.95) & (np.minimum(abs(y), abs(x)) < 0.3)
    return (y**2 + x**2 < 1) & (y**2 + x**2 > 0.3)
