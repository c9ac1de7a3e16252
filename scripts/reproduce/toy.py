"""The toy problem, figure 1 of Navon et al. 2022: where every method goes, from five starts, at two scales of loss 1.

    python -m scripts.reproduce.toy [NAME ...] [--jobs 4] [--scales 0.1 1] [--steps 35000] [--smoke]

Pictures: plot.png, the losses against each other with the Pareto front, and paths.png, the points over the contours of
the losses' sum; a run goes from light to dark, starts are black, ends open circles. Without names, every method but the
two that need three tasks.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from mtrl.aggregation import METHODS
from mtrl.benchmarks.toy import STARTS, pareto_set, toy_losses
from mtrl.report.table import text_table
from mtrl.runs import checkpoint
from mtrl.runs.events import Start
from scripts.reproduce import page, plots, supervised
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim, Reproduction
from scripts.reproduce.supervised import Study, Variant
from scripts.reproduce.sweep import Changes, Runs

Draw = Callable[[Axes, Tensor, Tensor], None]
UNABLE = ("krum", "trimmed_mean")
"""They need three tasks."""
FIRST = ("nash_mtl", "mean", "mgda", "pcgrad", "cagrad", "imtl_g", "aligned_mtl", "famo")
"""The papers' methods come first in the pictures."""
PAPER_STEPS = 35_000
DPI = 60
COLUMNS = 8
"""Of panels in a picture."""
ON_FRONT = 0.1
"""An end so close to the front, in units of the losses that were descended, counts as on it."""
END_OF_FRONT = 6.5
"""The front goes from x1 = -7 to 7; an end beyond this is best for one task and worst for the other."""
SHADES = ListedColormap(colormaps["magma_r"](torch.linspace(0.1, 0.6, 256).numpy()))
"""The papers' colours, without the palest and the darkest."""


class Descended(NamedTuple):
    """The runs of a method."""

    path: Tensor
    """`[points, S, N, 2]`: scales, starts, coordinates."""
    metrics: list[dict[str, Any]]
    """Of each scale and start: `name`, `value` (distance to the front), `end`."""
    minutes: float
    starts: tuple[Start, ...]
    """See `page.starts`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, draw, and write the results."""
    made = parser(__doc__, seeds=(0,), jobs=4)
    made.add_argument("methods", nargs="*", metavar="NAME", help="as in mtrl.aggregation.METHODS; default: all")
    made.add_argument("--scales", type=float, nargs="+", default=[0.1, 1.0], help="of the first loss")
    made.add_argument("--steps", type=int, default=PAPER_STEPS, help="of Adam, in whole thousands")
    options = parse(made, arguments)
    options.methods = options.methods or (["nash_mtl"] if options.smoke else able())
    for name in options.methods:
        if name not in METHODS:
            made.error(f"unknown method {name!r}; known: {', '.join(METHODS)}")
    if options.smoke:
        options.steps = 1000
    if options.steps < 1000 or options.steps % 1000:
        made.error(f"--steps needs to be a multiple of 1000, got {options.steps}")
    study = Study(
        name="toy",
        title="Toy problem (Navon et al. 2022, figure 1)",
        config="toy",
        variants=[variant(name) for name in options.methods],
        columns={},
        baseline="",
        common={"epochs": options.steps // 1000, "benchmark.scales": options.scales},
    )
    runs, out = supervised.carry_out(study, options, None), options.out / "toy"
    finished = {result.label for result in supervised.results(study, options, runs.missing)}
    found = {
        variant.label: read(supervised.run_folder(study, options, variant, options.seeds[0]))
        for variant in study.variants
        if variant.label in finished
    }
    if found:
        factors = [torch.tensor([scale, 1.0], dtype=torch.float64) for scale in options.scales]
        plots.save(picture(found, factors, draw_losses, "loss 2"), out / "plot.png", DPI)
        plots.save(picture(found, factors, draw_points, "x2"), out / "paths.png", DPI)
        page.write(make_page(found, options.steps, options.scales, runs), out)
    page.finish(runs.status, out)


def able() -> list[str]:
    """Methods for two tasks, the papers' first."""
    return [name for name in dict.fromkeys((*FIRST, *METHODS)) if name not in UNABLE]


def variant(name: str) -> Variant:
    """Nash-MTL is published with its update clipped to norm 1."""
    changes: Changes = {} if name == "nash_mtl" else {"optimizer.max_grad_norm": None}
    return Variant(name, {"method.name": name, **changes})


def read(folder: Any) -> Descended:
    """A finished run."""
    evaluation = page.json.loads((folder / "evaluation.json").read_text())
    path = checkpoint.load_newest(folder / "checkpoints")["job"]["path"]
    return Descended(path, evaluation["metrics"], evaluation["wall_s"] / 60, page.starts(folder))


def make_page(found: dict[str, Descended], steps: int, scales: Sequence[float], runs: Runs) -> Reproduction:
    """Table, claims and commands."""
    columns = tuple(f"loss 1 x {scale:g}" for scale in scales)
    rows = [(name, *(summary(ends(run, scale)) for scale in range(len(scales)))) for name, run in found.items()]
    return Reproduction(
        title="Toy problem (Navon et al. 2022, figure 1)",
        made_of=(
            f"Two losses of two variables, {len(STARTS)} starts, {steps:,} steps of Adam at 1e-3; loss 1 times "
            f"{' and '.join(f'{scale:g}' for scale in scales)}. Of each method: how many of the {len(STARTS)} runs end "
            f"on the Pareto front (distance below {ON_FRONT}); how many of these at one of its ends (|x1| > "
            f"{END_OF_FRONT}: all for one task); and between which x1 the others are (-7 is best for task 2, 7 for "
            "task 1)."
        ),
        tables=(text_table("", ("method", *columns), tuple(rows)),),
        claims=claims(found, scales) if steps == PAPER_STEPS else (),
        reasons=(
            "The paper shows pictures and no numbers.",
            "Its text has another sign in the second loss than its code, which stands here.",
            *positive_only(found),
            f"{' and '.join(UNABLE)} need three tasks and are left out.",
        ),
        records=tuple(
            {
                "method": name,
                "seed": 0,
                "values": {row["name"]: row["value"] for row in run.metrics},
                "runs": run.metrics,
            }
            for name, run in found.items()
        ),
        commands=(runs.command,),
        machine=page.machine(start for run in found.values() for start in run.starts),
        pictures=("plot.png", "paths.png"),
        sweeps={runs.name: runs.file},
        missing=runs.missing,
    )


def positive_only(found: Iterable[str]) -> list[str]:
    """What is to be said of methods for positive losses."""
    named = [name for name in found if METHODS[name].positive_losses]
    return [f"The losses are negative on the front; {', '.join(named)} are made for positive ones."] if named else []


def ends(run: Descended, scale: int) -> list[tuple[float, float]]:
    """Where the runs of a scale ended, a start each: the distance to the front, and x1."""
    rows = run.metrics[scale * len(STARTS) : (scale + 1) * len(STARTS)]
    return [(row["value"], row["end"][0]) for row in rows]


def summary(found: list[tuple[float, float]]) -> str:
    """How many runs of a method at a scale end on the front, and where."""
    on = [x1 for gap, x1 in found if gap < ON_FRONT]
    inner = [x1 for x1 in on if abs(x1) <= END_OF_FRONT]
    between = f", others at x1 {min(inner):.1f} to {max(inner):.1f}" if inner else ""
    return f"{len(on)} of {len(found)}, {len(on) - len(inner)} at an end{between}"


def claims(found: dict[str, Descended], scales: Sequence[float]) -> tuple[Claim, ...]:
    """What the paper shows, and how it fared."""
    made: list[Claim] = []
    if run := found.get("nash_mtl"):
        reached = [[gap < ON_FRONT and abs(x1) <= END_OF_FRONT for gap, x1 in ends(run, s)] for s in range(len(scales))]
        counts = ", ".join(f"{sum(row)} at scale {scale:g}" for row, scale in zip(reached, scales, strict=True))
        text = f"Nash-MTL reaches the front, and not its ends, from all {len(STARTS)} starts at every scale"
        made.append(page.verdict(text, all(map(all, reached)), counts))
    for name, title in (("mean", "The mean"), ("pcgrad", "PCGrad"), ("cagrad", "CAGrad")):
        if run := found.get(name):
            missed = [
                sum(gap >= ON_FRONT or abs(x1) > END_OF_FRONT for gap, x1 in ends(run, s)) for s in range(len(scales))
            ]
            counts = ", ".join(f"{count} at scale {scale:g}" for count, scale in zip(missed, scales, strict=True))
            text = f"{title} misses the front, or stops at one of its ends, from some starts"
            made.append(page.verdict(text, any(missed), counts))
    return tuple(made)


def picture(found: dict[str, Descended], factors: Sequence[Tensor], draw: Draw, ylabel: str) -> Figure:
    """`COLUMNS` methods beside each other, a row per scale below them."""
    names, scales = list(found), len(factors)
    blocks = -(-len(names) // COLUMNS)
    width = min(COLUMNS, len(names))
    figure = Figure(figsize=(3.2 * width + 0.4, 2.9 * scales * blocks + 0.3), layout="constrained")
    panels = figure.subplots(scales * blocks, width, squeeze=False)
    for panel in panels.flat[:]:
        panel.set_visible(False)
    for number, name in enumerate(names):
        block, column = divmod(number, COLUMNS)
        for row in range(scales):
            axes = panels[block * scales + row, column]
            axes.set_visible(True)
            draw(axes, found[name].path[:, row], factors[row])
            axes.set_title(name if row == 0 else "")
            axes.set_ylabel(ylabel if column == 0 else "")
    return figure


def draw_losses(axes: Axes, path: Tensor, factors: Tensor) -> None:
    """One panel: the losses against each other, the Pareto front grey.

    Args:
        axes: of the panel.
        path: `[points, N, 2]`.
        factors: of the losses, `[2]`.
    """
    front = toy_losses(pareto_set(torch.linspace(-7, 7, 500, dtype=torch.float64))) * factors
    axes.plot(*front.T.numpy(), color="#bbbbbb", linewidth=7, solid_capstyle="round", zorder=1)
    _draw(axes, toy_losses(path) * factors)
    axes.set_xlabel(f"{factors[0]:g} × loss 1" if factors[0] != 1 else "loss 1")


def draw_points(axes: Axes, path: Tensor, factors: Tensor) -> None:
    """One panel: the points over the contours of the sum of the losses, the Pareto set grey; as `draw_losses`."""
    grid = torch.linspace(-11, 11, 250, dtype=torch.float64)
    x1, x2 = torch.meshgrid(grid, grid, indexing="xy")
    total = (toy_losses(torch.stack((x1, x2), -1)) * factors).sum(-1)
    axes.contour(x1, x2, total, levels=24, cmap="viridis", linewidths=0.7, alpha=0.7, zorder=0)
    optimal = pareto_set(torch.linspace(-7, 7, 500, dtype=torch.float64))
    axes.plot(*optimal.T.numpy(), color="#999999", linewidth=5, solid_capstyle="round", zorder=1)
    _draw(axes, path)
    axes.set(xlabel=f"x1 (loss 1 × {factors[0]:g})", xlim=(-11, 11), ylim=(-11, 11))


def _draw(axes: Axes, paths: Tensor) -> None:
    """Runs from light to dark, starts black, ends open; paths `[points, N, 2]`."""
    for path in paths.numpy().swapaxes(0, 1):
        axes.scatter(path[:, 0], path[:, 1], c=range(len(path)), cmap=SHADES, s=3, linewidths=0, zorder=2)
    axes.scatter(paths[0, :, 0], paths[0, :, 1], color="black", s=35, zorder=3)
    axes.scatter(paths[-1, :, 0], paths[-1, :, 1], facecolors="white", edgecolors="black", s=35, zorder=4)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
