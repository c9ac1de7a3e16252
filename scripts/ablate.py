"""What each choice of a recipe is worth: a sweep whose variants change one thing each, and its table.

    python -m scripts.ablate [--sweep sweeps/mt10-ablations] [--table results/ablations.md] [options of mtrl sweep]

`mtrl sweep` trains what is not finished (`--jobs`, `--only`, `--engine ray`, ...) and goes on where it was. The table
is of all runs that are finished; none is left out.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl.cli.main import main as mtrl
from mtrl.cli.sweep import read
from mtrl.nested import flat
from mtrl.report.table import markdown
from mtrl.runs.configs import find
from mtrl.runs.metrics_file import read_events
from mtrl.sweep import SweepFile, Trial, reach
from scripts.machine import machine_line

HEADER = ("variant", "change", "any-step: mean", "seeds", "final-step", "updates", "minutes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not finished, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--sweep", type=find, default="sweeps/mt10-ablations", help="a file, or one of mtrl's by name")
    parser.add_argument("--table", type=Path, default=Path("results/ablations.md"))
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of all sweeps")
    options, words = parser.parse_known_args(arguments)
    status = mtrl(["sweep", str(options.sweep), "--out", str(options.out), *words])
    torch.set_num_threads(1)
    file, trials = read(options.sweep, options.out)
    if found := [*rows(file, trials)]:
        options.table.parent.mkdir(parents=True, exist_ok=True)
        machine = machine_line({"metaworld", "mujoco"}, ["cpu"])
        options.table.write_text(f"{head(file)}\n\n{markdown(HEADER, found)}\n\n{machine}\n")
    sys.exit(status)


def head(file: SweepFile) -> str:
    """What stands over the table."""
    return (
        f"# Ablations of the recipe\n\n`{file.base}` with {_shown(file.changes)}, one change at a time.\n"
        "Success of the final policy, protocol modern, mean over tasks.\n"
        "Differences within the spread of the seeds say nothing."
    )


def rows(file: SweepFile, trials: Sequence[Trial]) -> Iterator[list[str]]:
    """One for each variant of which something is finished."""
    finished = [trial for trial in trials if reach.is_finished(trial, file.keep)]
    for name, changes in file.variants.items():
        found = [result(run) for trial in finished if trial.config.name == name for run in trial.folders.values()]
        if not found:
            continue
        any_step, final, updates, seconds = (np.array(column) for column in zip(*found, strict=True))
        seeds = " ".join(f"{value:.2f}" for value in any_step)
        means = f"{final.mean():.2f}", f"{updates.mean():,.0f}", f"{seconds.mean() / 60:.1f}"
        yield [name, _shown(changes), f"{any_step.mean():.2f}", seeds, *means]


def result(run: Path) -> tuple[float, float, int, float]:
    """Any-step and final-step success, updates and seconds of a finished run."""
    evaluation = json.loads((run / "evaluation.json").read_text())
    seconds = max(event["wall_s"] for event in read_events(run / "metrics.jsonl") if event["kind"] == "train")
    mean = evaluation["mean"]
    return mean["success_any"], mean["success_final"], evaluation["checkpoint"]["updates"], seconds


def _shown(changes: Mapping[str, Any]) -> str:
    """Changes as the options of a command; nothing for no changes."""
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in flat(changes).items()}
    return f"`{' '.join(f'--{name} {value}' for name, value in values.items())}`" if values else ""


if __name__ == "__main__":
    main()
