#!/usr/bin/env python
"""Draws two gradients in conflict, and the updates that four methods make of them.

    python -m scripts.draw_conflict [--out docs/images/conflict.png]

The tasks pull along their negative gradients. An update that leaves the shaded cone makes some task worse.
"""

import argparse
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from mtrl.aggregation import METHODS, Method

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DESCENT = torch.tensor([[2.4, 0.45], [-0.65, 0.65]], dtype=torch.float64)
"""Negative gradients of two tasks, one a row."""
SHOWN = {"mean": "Mean", "pcgrad": "PCGrad", "mgda": "MGDA", "nash_mtl": "Nash-MTL"}
COLOURS = ("#0072b2", "#d55e00")
LENGTH = 1.5
"""Of every update as it is drawn: what differs is where it points."""


def update(name: str, rows: Tensor) -> Tensor:
    """A method's update of gradients `[2, 2]`, `[2]`."""
    method = METHODS[name]()
    assert isinstance(method, Method)
    return method(rows @ rows.T) @ rows


def gains(direction: Tensor, rows: Tensor) -> list[float]:
    """What a step along it gives each task, over the most that a step of its length can: cosines."""
    return ((rows @ direction) / (rows.norm(dim=1) * direction.norm())).tolist()


def draw(axes: plt.Axes, title: str, direction: Tensor) -> None:
    """One method: both tasks' arrows, its own, the cone in which neither task loses, and what each gains."""
    edges = torch.stack([torch.tensor([-DESCENT[0, 1], DESCENT[0, 0]]), torch.tensor([DESCENT[1, 1], -DESCENT[1, 0]])])
    far = 9 * torch.nn.functional.normalize(edges, dim=1)
    axes.fill([0, *far[:, 0].tolist()], [0, *far[:, 1].tolist()], color="#009e73", alpha=0.16, linewidth=0)
    for row, colour in zip(DESCENT, COLOURS, strict=True):
        arrow(axes, row, colour, 2.2)
    arrow(axes, LENGTH * direction / direction.norm(), "black", 3.2)
    axes.set(xlim=(-1.25, 2.65), ylim=(-0.3, 1.65), aspect="equal", xticks=[], yticks=[])
    axes.set_title(title, fontsize=15, fontweight="bold")
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
    for task, (gain, colour) in enumerate(zip(gains(direction, DESCENT), COLOURS, strict=True)):
        says = f"task {task + 1}  {gain:+.2f}".replace("-", "−")
        axes.text(0.5, -0.15 - 0.16 * task, says, color=colour, fontsize=14, ha="center", transform=axes.transAxes)


def arrow(axes: plt.Axes, to: Tensor, colour: str, width: float) -> None:
    """Draws an arrow from the origin."""
    style = {"arrowstyle": "-|>,head_width=0.32,head_length=0.6", "color": colour, "lw": width}
    axes.annotate("", (float(to[0]), float(to[1])), (0, 0), arrowprops={**style, "shrinkA": 0, "shrinkB": 0})


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs/images/conflict.png")
    path = parser.parse_args().out
    figure, all_axes = plt.subplots(1, len(SHOWN), figsize=(9, 2.3))
    for axes, (name, title) in zip(all_axes, SHOWN.items(), strict=True):
        draw(axes, title, update(name, DESCENT))
    figure.subplots_adjust(left=0.005, right=0.995, top=0.88, bottom=0.26, wspace=0.04)
    figure.savefig(path, dpi=160, bbox_inches="tight", pad_inches=0.04, metadata={"Software": ""})


if __name__ == "__main__":
    main()
