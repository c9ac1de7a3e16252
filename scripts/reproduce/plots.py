"""Pictures of results."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

COLOURS = 48


Points = Mapping[str, Sequence[tuple[float, float]]]
"""A point per seed, by method."""


def points(methods: Points, x: str, y: str, path: Path, front: Points, front_label: str) -> None:
    """One task against another: a colour per method, small dots for its seeds, a large one for their mean.

    Args:
        methods: what is shown.
        x: name of the first axis.
        y: of the second.
        path: of the picture.
        front: settings of one method, in order: a grey line through their means, each named.
        front_label: what the settings are.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    if front:
        means = np.array([np.mean(pairs, 0) for pairs in front.values()])
        axes.plot(*means.T, "o-", color="0.7", markersize=4, linewidth=1, zorder=0, label=front_label)
        for label, mean in zip(front, means, strict=True):
            axes.annotate(label, mean, xytext=(4, -9), textcoords="offset points", fontsize=7, color="0.45")
    for number, (label, pairs) in enumerate(methods.items()):
        colour = f"C{number}"
        axes.plot(*np.transpose(pairs), "o", color=colour, markersize=3)
        axes.plot(*np.mean(pairs, 0), "o", color=colour, markersize=8, label=label)
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


def dots(groups: Mapping[str, Sequence[float]], x: str, path: Path) -> None:
    """A line per method, a dot per seed, the mean a bar."""
    figure = Figure(figsize=(6.5, 0.32 * len(groups) + 1), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(groups.values()):
        axes.plot(values, [row] * len(values), "o", color="#3b528b", alpha=0.7, markersize=5)
        axes.plot([sum(values) / len(values)] * 2, [row - 0.3, row + 0.3], color="black")
    axes.set(xlabel=x)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def lines(curves: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, path: Path) -> None:
    """Curves over a logarithmic height."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for label, pairs in curves.items():
        axes.plot(*zip(*pairs, strict=True), "o-", label=label)
    axes.set(xlabel=x, ylabel=y, yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save(figure, path)


def save(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Writes a PNG of few colours, which is small."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
