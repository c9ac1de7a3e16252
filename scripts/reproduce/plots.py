"""Pictures of results."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

COLOURS = 48


def points(groups: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, path: Path) -> None:
    """One task against another: a point per seed, a colour per method."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.subplots()
    for number, (label, pairs) in enumerate(groups.items()):
        first, second = zip(*pairs, strict=True)
        axes.plot(first, second, "osD^v"[number // 10], label=label, color=f"C{number % 10}", markersize=5)
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


def dots(groups: Mapping[str, Sequence[float]], x: str, path: Path, log: bool = False) -> None:
    """A line per method, a dot per seed, the mean a bar."""
    figure = Figure(figsize=(6.5, 0.32 * len(groups) + 1), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(groups.values()):
        axes.plot(values, [row] * len(values), "o", color="#3b528b", alpha=0.7, markersize=5)
        axes.plot([sum(values) / len(values)] * 2, [row - 0.3, row + 0.3], color="black")
    axes.set(xlabel=x, xscale="log" if log else "linear")
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
    """As a PNG of few colours, which is small."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
