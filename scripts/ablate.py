"""What each choice of a recipe is worth: the recipe with one change at a time, several seeds each.

    python -m scripts.ablate [--base FILE] [--steps N] [--seeds 0 1 2] [--jobs 3] [--only NAME ...]

Every run is a `mtrl train` of its own on one thread, `--jobs` at a time; seeds outermost, so that all variants are
there early. Stopped and called again, it goes on where it was. The table is of all runs that are finished; none is left
out.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml

from mtrl.runs.metrics_file import read_events
from scripts.jobs import Job, run_all, slug
from scripts.machine import machine_line

ROOT = Path(__file__).parents[1]

VARIANTS: dict[str, str] = {
    "recipe": "",
    "horizon 100": "--env.horizon 100",
    "horizon 500": "--env.horizon 500",
    "scalar critic": "--agent.value scalar",
    "HL-Gauss critic": "--agent.value hl_gauss",
    "critic 512 wide": "--agent.critic.width 512",
    "scalar critic, raw rewards": "--agent.value scalar --agent.reward_scaling none",
    "scalar critic, rewards over their deviation": "--agent.value scalar --agent.reward_scaling deviation",
    "batch of 8 a task": "--training.batch_per_task 8",
    "batch of 16 a task": "--training.batch_per_task 16",
    "batch of 64 a task": "--training.batch_per_task 64",
    "2 updates a step": "--training.updates_per_vector_step 2",
    "8 updates a step": "--training.updates_per_vector_step 8",
    "float32": "--training.precision float32",
    "mean in place of Nash-MTL": "--method.name mean",
    "plain MLPs": "--agent.actor.kind mlp --agent.actor.depth 3 --agent.critic.kind mlp --agent.critic.depth 3",
    "SimBa blocks": "--agent.actor.kind simba --agent.critic.kind simba",
    "no task embedding": "--agent.conditioning.encoding none",
    "one head for all tasks": "--agent.conditioning.heads false",
    "3-step returns": "--agent.n_step 3",
    "white exploration noise": "--agent.noise_correlation 0.0",
    "first temperature 0.1": "--agent.initial_temperature 0.1",
    "discount 0.99": "--agent.discount 0.99",
    "constant learning rate 3e-4": "--agent.learning_rate 3e-4 --agent.final_learning_rate 1.0",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not finished, and write the table."""
    options = parse(arguments)
    chosen = {name: VARIANTS[name] for name in options.only or VARIANTS}
    jobs = [
        Job(f"{name}, seed {seed}", command(options, name, changes, seed), folder(options, name) / f"seed_{seed}.txt")
        for seed in options.seeds
        for name, changes in chosen.items()
    ]
    failed = run_all(jobs, options.jobs, after=lambda: write(options))
    sys.exit(1 if failed else 0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=Path, default=ROOT / "configs/mt10/ablations.yaml", help="the recipe")
    parser.add_argument("--steps", type=int, help="environment steps of a run, over all tasks; default: as configured")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=3, help="runs at a time, one thread each")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="NAME", help="; ".join(VARIANTS))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=Path("results/ablations.md"), help="the table")
    return parser.parse_args(arguments)


def folder(options: argparse.Namespace, name: str) -> Path:
    """The folder of a variant's runs."""
    return options.runs / slug(name)


def command(options: argparse.Namespace, name: str, changes: str, seed: int) -> tuple[str, ...]:
    """One run of one variant."""
    words = ["mtrl", "train", str(options.base), "--name", slug(name), "--out", str(options.runs), "--seeds", str(seed)]
    words += ["--steps", str(options.steps)] if options.steps else []
    return (*words, "--training.threads", "1", *shlex.split(changes), "--resume")


def write(options: argparse.Namespace) -> None:
    """The table of what is finished."""
    torch.set_num_threads(1)
    steps = options.steps or yaml.safe_load(options.base.read_text())["steps"]
    lines = [
        "# Ablations of the recipe",
        "",
        f"`{options.base.name}` with {steps:,} environment steps over all tasks, one change at a time.",
        "Success of the final policy, protocol modern, mean over tasks. Differences within the spread of the seeds say",
        "nothing.",
        "",
        "| variant | change | any-step: mean | seeds | final-step | updates | minutes |",
        "|---|---|---:|---|---:|---:|---:|",
    ]
    for name, changes in VARIANTS.items():
        found = [row for seed in options.seeds if (row := result(folder(options, name) / f"seed_{seed}"))]
        if not found:
            continue
        any_step, final, updates, seconds = (np.array(column) for column in zip(*found, strict=True))
        seeds = " ".join(f"{value:.2f}" for value in any_step)
        lines.append(
            f"| {name} | {f'`{changes}`' if changes else ''} | {any_step.mean():.2f} | {seeds} | {final.mean():.2f} "
            f"| {updates.mean():,.0f} | {seconds.mean() / 60:.1f} |"
        )
    lines += ["", machine_line({"metaworld", "mujoco"}, ["cpu"])]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n")


def result(run_folder: Path) -> tuple[float, float, int, float] | None:
    """Any-step and final-step success, updates and seconds of a finished run."""
    path = run_folder / "evaluation.json"
    if not path.exists():
        return None
    evaluation = json.loads(path.read_text())
    seconds = max(event["wall_s"] for event in read_events(run_folder / "metrics.jsonl") if event["kind"] == "train")
    mean = evaluation["mean"]
    return mean["success_any"], mean["success_final"], evaluation["checkpoint"]["updates"], seconds


if __name__ == "__main__":
    main()
