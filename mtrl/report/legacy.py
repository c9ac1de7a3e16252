"""What protocol `legacy` makes of a true success rate, by simulation: the best of many evaluations of one episode.

The policy does not change: all that its score rises above its success rate is the protocol's doing.
Axes: `R` repetitions, `S` seeds, `N` evaluations, `T` tasks.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mtrl.report.palette import COLOURS, STYLES
from mtrl.report.table import Table, text_table

TITLE = "What the best of many evaluations makes of a true success"
EVALUATIONS, EPISODES, SEEDS = 150, 1, 10
"""Of the old tables: evaluations of a run, episodes of each task in one, runs."""
MODERN_EPISODES = 50
_REPETITIONS = 100
_GENERATOR_SEED = 0  # the same table, always


@dataclass(frozen=True)
class Scores:
    """What would be printed, in expectation."""

    mean_of_best: float
    """Best evaluation of each run, mean over runs: Nash-MTL's and FAMO's tables."""
    best_of_mean: float
    """Best point of the runs' mean curve: CARE's and CAGrad's tables."""


@dataclass(frozen=True)
class Truth:
    """Success rates that agents could have."""

    name: str
    rates: tuple[float, ...]
    """`[T]`."""

    @property
    def mean(self) -> float:
        """The mean over tasks: what a table should say."""
        return float(np.mean(self.rates))


TRUTHS = (
    Truth("ten tasks at 0.6", (0.6,) * 10),
    Truth("5 solved, 3 at 0.33, 2 at 0", (1.0,) * 5 + (0.33,) * 3 + (0.0,) * 2),
    Truth("7 at 0.95, 3 at 0.4", (0.95,) * 7 + (0.4,) * 3),
    Truth("6 solved, 4 at 0.5", (1.0,) * 6 + (0.5,) * 4),
)
REDRAWS = (1.0, 0.1, 0.03, 0.01)
"""Chance that a task's outcome is drawn anew at an evaluation, instead of that of the evaluation before."""


def best_over_evaluations(
    rates: ArrayLike,
    *,
    generator: np.random.Generator,
    evaluations: int = EVALUATIONS,
    episodes: int = EPISODES,
    redraw: float = 1.0,
    seeds: int = SEEDS,
    repetitions: int = _REPETITIONS,
) -> Scores:
    """Scores of agents whose true success never changes.

    Args:
        rates: true success of each task, `[T]`, in [0, 1].
        generator: decides what is drawn.
        evaluations: of a run.
        episodes: of each task in an evaluation.
        redraw: chance that a task's outcome is drawn anew at an evaluation, in (0, 1]; 1 for independent ones. Those of
            a policy that hardly changes, with the same goal, are alike.
        seeds: runs that a table's number is made of.
        repetitions: tables that the result is the mean of.
    """
    truth = np.asarray(rates, dtype=np.float64)
    outcomes = generator.binomial(episodes, truth, (repetitions, seeds, evaluations, truth.size)) / episodes
    if redraw < 1:
        anew = generator.random(outcomes.shape) < redraw
        drawn_at = np.maximum.accumulate(np.where(anew, np.arange(evaluations)[:, None], 0), axis=2)
        outcomes = np.take_along_axis(outcomes, drawn_at, axis=2)
    curves = outcomes.mean(axis=-1)  # [R, S, N]
    return Scores(float(curves.max(axis=-1).mean()), float(curves.mean(axis=1).max(axis=-1).mean()))


def _explanation() -> str:
    """What the table shows, a paragraph."""
    return (
        f"Each agent has a fixed true success. Protocol modern evaluates the last policy once, {MODERN_EPISODES} "
        f"episodes a task. The old tables take the best of {EVALUATIONS} evaluations with {EPISODES} episode a task, "
        "run by run (mean over seeds), or the best point of the mean curve of "
        f"{SEEDS} runs. With independent evaluations that is an upper bound of the bias; real ones are alike: "
        "q is the chance that a task's outcome is drawn anew, instead of carried over from the evaluation before."
    )


def bias_table() -> Table:
    """True means, and what the rules of the old tables and of protocol `modern` make of them."""
    header = ["success of ten tasks", "true mean", "modern", *(f"best of {EVALUATIONS}, q={q:g}" for q in REDRAWS)]
    header += ["best of mean curve, q=1", f"best of {EVALUATIONS}, {MODERN_EPISODES} episodes, q=1"]
    generator = np.random.default_rng(_GENERATOR_SEED)
    rows = []
    for truth in TRUTHS:
        by_redraw = [best_over_evaluations(truth.rates, generator=generator, redraw=q) for q in REDRAWS]
        modern = best_over_evaluations(truth.rates, generator=generator, evaluations=1, episodes=MODERN_EPISODES)
        many = best_over_evaluations(truth.rates, generator=generator, episodes=MODERN_EPISODES)
        values = [truth.mean, modern.mean_of_best, *(scores.mean_of_best for scores in by_redraw)]
        values += [by_redraw[0].best_of_mean, many.mean_of_best]
        rows.append([truth.name, *(f"{value:.2f}" for value in values)])
    return text_table(TITLE, header, rows, "legacy", [_explanation()])


def legacy_contents(table: Table) -> dict[str, bytes]:
    """The files of the explanation, by name: the table with its paragraph, the table as CSV, the plot."""
    figure = _plot()
    return {
        "legacy.md": table.markdown().encode(),
        "legacy.csv": table.csv().encode(),
        **{f"legacy.{kind}": _saved(figure, kind) for kind in ("png", "svg")},
    }


def _plot() -> Figure:
    """Score against true success, ten tasks of the same rate."""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axes = figure.subplots()
    generator = np.random.default_rng(_GENERATOR_SEED)
    truth = np.linspace(0, 1, 21)

    def scores(**rule: Any) -> list[float]:
        few = {"repetitions": 20, "generator": generator, **rule}
        return [best_over_evaluations((p,) * 10, **few).mean_of_best for p in truth]

    for index, redraw in enumerate(REDRAWS):
        label = f"best of {EVALUATIONS}, {EPISODES} episode, q={redraw:g}"
        axes.plot(truth, scores(redraw=redraw), color=COLOURS[index], linestyle=STYLES[index], label=label)
    label = f"best of {EVALUATIONS}, {MODERN_EPISODES} episodes, q=1"
    axes.plot(truth, scores(episodes=MODERN_EPISODES), color=COLOURS[4], linestyle=":", label=label)
    label = f"modern: the last policy, {MODERN_EPISODES} episodes"
    axes.plot(truth, scores(evaluations=1, episodes=MODERN_EPISODES), color=COLOURS[6], linewidth=2.2, label=label)
    axes.set(xlabel="true success of each of ten tasks", ylabel="score", xlim=(0, 1), ylim=(0, 1.02), title=TITLE)
    axes.grid(color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "legacy"}):  # the same file, always
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
