"""MT10, success table of Navon et al. 2022: every method under protocol modern, three seeds, and its time per update.

    python -m scripts.reproduce.mt10                # mt10/quick, four hours on four cores
    python -m scripts.reproduce.mt10 --steps 800000 # the same for longer: overnight
    python -m scripts.reproduce.mt10 --budget gpu   # mt10/gpu, seeds of a method side by side
    python -m scripts.reproduce.mt10 [--jobs 4] [--steps N] [--seeds 0 1 2] [--only NAME ...] [--smoke]

On a CPU every run is a process of one thread, about a quarter of an hour each (60 runs). Seeds are outermost, so that
all methods are there early. Nothing is tuned for any method: all share the configuration.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtrl.cores import available_cores
from mtrl.report.table import NOTHING, Table, text_table
from mtrl.runs.events import Start
from mtrl.runs.metrics_file import read_events
from scripts.reproduce import page, plots, sweep
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim, Reproduction
from scripts.reproduce.supervised import cell
from scripts.reproduce.sweep import Changes, Runs, slug

BLIND: Changes = {"agent.conditioning": {"encoding": "none", "heads": False}}
MEAN: Changes = {"method.name": "mean"}
PLAIN = "Mean"
VARIANTS: Mapping[str, Changes] = {
    "Nash-MTL": {"method.name": "nash_mtl"},
    PLAIN: MEAN,
    "MGDA": {"method.name": "mgda"},
    "PCGrad": {"method.name": "pcgrad"},
    "CAGrad": {"method.name": "cagrad", "method.c": 0.9},
    "IMTL-G": {"method.name": "imtl_g"},
    "Nash-MTL, every 50": {"method.name": "nash_mtl", "method.update_every": 50},
    "Nash-MTL, every 100": {"method.name": "nash_mtl", "method.update_every": 100},
    "FAMO": {"method.name": "famo"},
    "STL SAC": {**MEAN, "agent.single_task": "ours"},
    "MTL SAC": {**MEAN, **BLIND},
    "MTL SAC + TE": {**MEAN, "agent.conditioning.heads": False},
    "MH SAC": {**MEAN, "agent.conditioning.encoding": "none"},
    "Soft modularization": {**MEAN, **BLIND, "agent.actor.kind": "soft_modular", "agent.critic.kind": "soft_modular"},
    "CARE": {**MEAN, **BLIND, "agent.actor.kind": "care", "agent.critic.kind": "care"},
    "UW": {"method.name": "uncertainty_weighting"},
    "RLW": {"method.name": "random_loss_weighting"},
    "FairGrad": {"method.name": "fair_grad", "method.alpha": 2},
    "Aligned-MTL": {"method.name": "aligned_mtl"},
    "MoCo": {"method.name": "moco"},
}
"""Changes of the configuration, by the names of the published table; the last five are of later papers."""
SMOKE: Changes = {
    "env": {"num_envs_per_task": 1, "horizon": 10, "num_workers": 1},
    "training": {
        "warmup_steps": 100,
        "batch_per_task": 4,
        "updates_per_vector_step": 1,
        "log_every_steps": 100,
        "compile": False,
        "precision": "float32",
    },
    "agent": {"actor.width": 16, "critic.width": 16},
    "evaluation": {"episodes": 1, "horizon": 5},
}


class Budget(NamedTuple):
    """What suits a machine."""

    config: str
    jobs: int
    gpus: int
    """Of a run; with one, all seeds of a method train in one process, side by side."""


BUDGETS = {"cpu": Budget("mt10/quick", 4, 0), "gpu": Budget("mt10/gpu", 1, 1)}


class Result(NamedTuple):
    """A finished run."""

    label: str
    seed: int
    evaluation: dict[str, Any]
    ms_per_update: float
    minutes: float
    """Of training; with seeds side by side, of them all."""
    starts: tuple[Start, ...] = ()
    """See `page.starts`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and write the results."""
    made = parser(__doc__)
    made.set_defaults(jobs=None)
    made.add_argument("--budget", choices=list(BUDGETS), default="cpu", help="default cpu")
    made.add_argument("--steps", type=int, help="environment steps of a run, over all tasks; default: as configured")
    made.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="NAME", help="; ".join(VARIANTS))
    given = made.parse_args(arguments)
    budget = BUDGETS[given.budget]
    made.set_defaults(jobs=budget.jobs)
    options = parse(made, arguments)
    if options.smoke:
        options.seeds, options.steps = options.seeds[:1], 150
        options.only = options.only or ["Nash-MTL"]
    name = f"mt10-{options.budget}"
    variants = {label: VARIANTS[label] for label in options.only or VARIANTS}
    common = ({"steps": options.steps} if options.steps else {}) | (dict(SMOKE) if options.smoke else {})
    resources = {"gpus": 1, "cpus": available_cores(), "seeds_together": len(options.seeds)} if budget.gpus else {}
    runs = sweep.carry_out(sweep.write(name, budget.config, variants, options, common, resources), options)
    out = options.out / name
    found = [r for label in variants for seed in options.seeds if (r := read(options.runs / name, label, seed))]
    if found:
        success = {
            label: [r.evaluation["mean"]["success_any"] for r in results] for label, results in by_method(found).items()
        }
        plots.dots(success, "any-step success, mean over ten tasks", out / "plot.png")
        page.write(make_page(found, success, runs, options, budget), out)
    page.finish(runs.status, out)


def read(runs: Path, label: str, seed: int) -> Result | None:
    """None for a run that is not finished."""
    folder = runs / slug(label) / f"seed_{seed}"
    if not (folder / "evaluation.json").exists():
        return None
    events = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "train"]
    train = [event for event in events if event.get("updates_per_s")]
    spent = [1000 * event["time_share"]["update"] / event["updates_per_s"] for event in train]
    milliseconds = statistics.median(spent) if spent else float("nan")
    minutes = max((event["wall_s"] for event in train), default=0.0) / 60
    evaluation = json.loads((folder / "evaluation.json").read_text())
    return Result(label, seed, evaluation, milliseconds, minutes, page.starts(folder))


def make_page(
    found: Sequence[Result],
    success: Mapping[str, Sequence[float]],
    all_runs: Runs,
    options: argparse.Namespace,
    budget: Budget,
) -> Reproduction:
    """Tables, claims and commands."""
    published, source = page.published("mt10")
    tables = [table(found, {} if options.smoke else published), per_task(found)]
    if not options.smoke:
        rows = tuple((label, row["success"], row["seconds per episode"] or NOTHING) for label, row in published.items())
        title = f"Published ({source}); another protocol and size, not to be compared number by number"
        tables.append(text_table(title, ("method", "success", "seconds per episode"), rows))
    updates = {result.evaluation["checkpoint"]["updates"] for result in found}
    steps = {result.evaluation["checkpoint"]["step"] for result in found}
    about = [
        f"`{budget.config}`, {_numbers(steps)} environment steps over the ten tasks, {_numbers(updates)} updates; "
        "protocol modern: Meta-World V3 with V2 rewards, 50 goals, 50 episodes per task, horizon 500, last checkpoint.",
        f"Seeds {' '.join(map(str, options.seeds))}, fixed beforehand; no run is left out, and nothing is tuned for "
        "any method. In brackets: 95% bootstrap interval over seeds.",
        f"Time of an update as in training, {options.jobs} runs of {options.threads} thread(s) at a time"
        + (", all seeds of a method together." if budget.gpus else "."),
    ]
    if options.smoke:
        about.append("**A smoke run: these numbers show that everything runs, and nothing else.**")
    return Reproduction(
        title=f"MT10 (Navon et al. 2022, tables 4 and 5), budget {options.budget}",
        made_of=" ".join(about),
        tables=tuple(tables),
        claims=() if options.smoke else tuple(claims(success, times(found))),
        reasons=() if options.smoke else REASONS,
        records=tuple(
            {
                "method": r.label,
                "seed": r.seed,
                "values": {
                    **{name: r.evaluation["mean"][name] for name in ("success_any", "success_final")},
                    "ms_per_update": r.ms_per_update,
                },
                "minutes": r.minutes,
                "tasks": r.evaluation["tasks"],
            }
            for r in found
        ),
        commands=(all_runs.command,),
        machine=page.machine((start for result in found for start in result.starts), ("metaworld", "mujoco")),
        sweeps={all_runs.name: all_runs.file},
        missing=all_runs.missing,
    )


REASONS = (
    "Protocol: theirs is, for each seed, the best of some 150 evaluations of one episode, on the goal trained on; ours "
    "the last policy on 50 goals. Theirs lifts a true 0.80 to between 0.88 and 1.00 (`mtrl report "
    "--explain-legacy`).",
    "Size: 2 million steps per task in theirs.",
    "Environments: V1 classes and rewards in theirs, V3 with V2 rewards in ours; rewards are scaled per task here, "
    "which leaves less for the methods to balance.",
    "Networks: theirs have 3 layers of 400 units and, but for MTL SAC + TE and MH SAC, are not told the task; their "
    "batch is 1280 of all tasks together.",
    "Their seconds per episode are of a GPU, gradients one task after another; here all come from one backward pass. "
    "The mean, too, takes every task's gradient here, for the norms and conflicts in the log; what an update costs "
    "without them is the row Nash-MTL, every 100.",
    "FairGrad has alpha 2, as in its authors' MT10 script. With 1 it is Nash-MTL: run on the CPU budget with seeds "
    "0 1 2, it gave Nash-MTL's row, number for number.",
)


def table(found: Sequence[Result], published: Mapping[str, Mapping[str, str]]) -> Table:
    """Ours; beside the times, the paper's seconds per episode."""
    spent = times(found)
    plain = float(published[_published(PLAIN)]["seconds per episode"]) if published else 0.0
    rows = []
    for label, runs in by_method(found).items():
        any_step = [r.evaluation["mean"]["success_any"] for r in runs]
        final = np.mean([r.evaluation["mean"]["success_final"] for r in runs])
        times_mean = f"{spent[label] / spent[PLAIN]:.2f}" if PLAIN in spent else NOTHING
        seconds = published.get(_published(label), {}).get("seconds per episode")
        theirs = f"{seconds} ({float(seconds) / plain:.2f})" if seconds else NOTHING
        cells = (cell(any_step, True, ".2f"), " ".join(f"{x:.2f}" for x in any_step), f"{final:.2f}")
        rows.append((label, *cells, f"{spent[label]:.1f}", times_mean, *([theirs] if published else [])))
    header = ("method", "any-step success", "of each seed", "final-step", "ms per update", "times the mean")
    return text_table("", (*header, *(["paper: s per episode (times plain)"] if published else [])), tuple(rows))


def per_task(found: Sequence[Result]) -> Table:
    """Which tasks the means are made of."""
    rows = []
    for label, runs in by_method(found).items():
        means = np.mean([[task["success_any"] for task in r.evaluation["tasks"]] for r in runs], axis=0)
        rows.append((label, *(f"{mean:.2f}" for mean in means)))
    names = [task["name"].removesuffix("-v3") for task in found[0].evaluation["tasks"]]
    return text_table("Any-step success of each task, mean over seeds", ("method", *names), tuple(rows))


def times(found: Sequence[Result]) -> dict[str, float]:
    """Milliseconds of an update, median over seeds."""
    return {label: statistics.median(r.ms_per_update for r in runs) for label, runs in by_method(found).items()}


def by_method(found: Sequence[Result]) -> dict[str, list[Result]]:
    """The runs of each method, in order of its first."""
    return {label: [r for r in found if r.label == label] for label in dict.fromkeys(r.label for r in found)}


def claims(success: Mapping[str, Sequence[float]], spent: Mapping[str, float]) -> list[Claim]:
    """What the paper says of success and time, and how it fared."""

    def higher(first: str, second: str) -> Claim:
        runs = success.get(first, []), success.get(second, [])
        means = ", ".join(f"{n} {np.mean(s):.2f}" for n, s in zip((first, second), runs, strict=True) if len(s))
        return Claim(f"{first} succeeds more often than {second}", page.compare(*runs), means)

    others = ("PCGrad", "CAGrad", "MTL SAC", "MTL SAC + TE", "MH SAC", "Soft modularization", "CARE")
    made = [higher("Nash-MTL", label) for label in others]
    made += [higher(f"Nash-MTL, every {n}", label) for n in (50, 100) for label in ("PCGrad", "CAGrad")]
    made += [higher("STL SAC", "CARE"), higher("Nash-MTL", "STL SAC")]
    rows, _ = page.published("mt10")
    plain = float(rows[_published(PLAIN)]["seconds per episode"])
    for label in ("PCGrad", "CAGrad", "Nash-MTL", "Nash-MTL, every 50", "Nash-MTL, every 100"):
        if label in spent and PLAIN in spent:
            theirs, ours = float(rows[label]["seconds per episode"]) / plain, spent[label] / spent[PLAIN]
            verdict = "holds, within a factor of 1.25" if 0.8 * theirs <= ours <= 1.25 * theirs else "does not hold"
            evidence = f"{ours:.2f} times, {spent[label]:.1f} ms"
            made.append(Claim(f"{label} costs {theirs:.2f} times plain training", verdict, evidence))
    return made


def _published(label: str) -> str:
    """The label under which the paper has a variant: its plain training is MTL SAC's."""
    return "MTL SAC" if label == PLAIN else label


def _numbers(values: set[int]) -> str:
    return " to ".join(f"{value:,}" for value in sorted({min(values), max(values)}))


if __name__ == "__main__":
    main()
