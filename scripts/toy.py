#!/usr/bin/env python
"""Draws where methods go on the papers' two-objective toy problem: a panel per method and scale of the first loss.

    python scripts/toy.py nash_mtl mean cagrad mgda [--scales 0.1 1] [--steps 35000] [--lr 0.001] [--out .]

Writes toy.png, the losses against each other, and toy_paths.png, the points over the contours of the losses' sum: the
Pareto front grey, starts black, a run from light to dark; open circles are where the runs end. Nash-MTL's update is
clipped to norm 1, as published. `mtrl supervised configs/supervised/toy.yaml` makes the same runs without pictures.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from mtrl.aggregation import make
from mtrl.supervised.toy import STARTS, descend, pareto_set, toy_losses

Draw = Callable[[Axes, Tensor, Tensor], None]
MOST_POINTS = 2_000
"""Drawn of a run."""
SHADES = ListedColormap(colormaps["magma_r"](torch.linspace(0.1, 0.6, 256).numpy()))
"""The papers' colours, without the palest and the darkest."""


def run(name: str, scales: Tensor, steps: int, lr: float) -> Tensor:
    """`[steps + 1, S, N, 2]`"""
    starts = torch.tensor(STARTS, dtype=torch.float64)
    return descend(make(name), starts, scales, steps, lr, max_norm=1.0 if name == "nash_mtl" else None)


def draw_losses(axes: Axes, trajectory: Tensor, factors: Tensor) -> None:
    """One panel: the losses against each other, the Pareto front grey.

    Args:
        axes: of the panel.
        trajectory: `[steps + 1, N, 2]`.
        factors: of the losses, `[2]`.
    """
    front = toy_losses(pareto_set(torch.linspace(-7, 7, 500, dtype=torch.float64))) * factors
    axes.plot(*front.T.numpy(), color="#bbbbbb", linewidth=7, solid_capstyle="round", zorder=1)
    _draw(axes, toy_losses(_thinned(trajectory)) * factors)
    axes.set_xlabel(f"{factors[0]:g} × loss 1" if factors[0] != 1 else "loss 1")


def draw_points(axes: Axes, trajectory: Tensor, factors: Tensor) -> None:
    """One panel: the points over the contours of the sum of the losses, the Pareto set grey; as `draw_losses`."""
    grid = torch.linspace(-11, 11, 250, dtype=torch.float64)
    x1, x2 = torch.meshgrid(grid, grid, indexing="xy")
    total = (toy_losses(torch.stack((x1, x2), -1)) * factors).sum(-1)
    axes.contour(x1, x2, total, levels=24, cmap="viridis", linewidths=0.7, alpha=0.7, zorder=0)
    optimal = pareto_set(torch.linspace(-7, 7, 500, dtype=torch.float64))
    axes.plot(*optimal.T.numpy(), color="#999999", linewidth=5, solid_capstyle="round", zorder=1)
    _draw(axes, _thinned(trajectory))
    axes.set(xlabel="x1", xlim=(-11, 11), ylim=(-11, 11))


def _thinned(trajectory: Tensor) -> Tensor:
    """At most `MOST_POINTS` of the points, and the last."""
    return torch.cat((trajectory[:: max(1, len(trajectory) // MOST_POINTS)], trajectory[-1:]))


def _draw(axes: Axes, paths: Tensor) -> None:
    """Runs from light to dark, starts black, ends open; paths `[points, N, 2]`."""
    for path in paths.numpy().swapaxes(0, 1):
        axes.scatter(path[:, 0], path[:, 1], c=range(len(path)), cmap=SHADES, s=3, linewidths=0, zorder=2)
    axes.scatter(*paths[0].T, color="black", s=35, zorder=3)
    axes.scatter(*paths[-1].T, facecolors="white", edgecolors="black", s=35, zorder=4)
    axes.spines[["top", "right"]].set_visible(False)


def figure_of(trajectories: dict[str, Tensor], scales: Tensor, draw: Draw, ylabel: str) -> Figure:
    """A column per method, a row per scale."""
    figure = Figure(figsize=(3.2 * len(trajectories) + 0.4, 2.9 * len(scales) + 0.3), layout="constrained")
    panels = figure.subplots(len(scales), len(trajectories), sharex="row", sharey=True, squeeze=False)
    for column, (name, trajectory) in enumerate(trajectories.items()):
        panels[0, column].set_title(name)
        for row, scale in enumerate(scales):
            draw(panels[row, column], trajectory[:, row], torch.stack((scale, torch.ones_like(scale))))
    for left in panels[:, 0]:
        left.set_ylabel(ylabel)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("methods", nargs="+", help="names, as in mtrl.aggregation.METHODS")
    parser.add_argument("--scales", type=float, nargs="+", default=[0.1, 1.0], help="of the first loss")
    parser.add_argument("--steps", type=int, default=35_000, help="of Adam")
    parser.add_argument("--lr", type=float, default=1e-3, help="of Adam")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scales = torch.tensor(options.scales, dtype=torch.float64)
    try:
        for name in options.methods:  # a name that is wrong is said before the first minute of work
            make(name)
        trajectories = {name: run(name, scales, options.steps, options.lr) for name in options.methods}
        options.out.mkdir(parents=True, exist_ok=True)
        losses, points = options.out / "toy.png", options.out / "toy_paths.png"
        figure_of(trajectories, scales, draw_losses, "loss 2").savefig(losses, dpi=150)
        figure_of(trajectories, scales, draw_points, "x2").savefig(points, dpi=150)
    except (ValueError, OSError) as problem:
        print(f"toy.py: {problem}", file=sys.stderr)
        sys.exit(2)
    print(losses, points, sep="\n")


if __name__ == "__main__":
    main()
