"""What MGDA-UB saves, table 2 of Sener and Koltun 2018: time per step of MGDA and MGDA-UB by the number of tasks.

    python -m scripts.reproduce.mgda_ub_speed [--tasks 2 3 5 10 20 40] [--rounds 5] [--threads 1] [--smoke]

ResNet-18 at CelebA's shapes, one number of tasks after another by `scripts/bench_mgda_ub.py`, each kept once it is
measured. Other work on the machine lengthens times; ratios are medians over rounds in which the variants take turns.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtrl.report.table import text_table
from scripts.reproduce import page, plots
from scripts.reproduce.options import parse, parser
from scripts.reproduce.page import Claim, Reproduction

SHOWN = ("mean", "MGDA-UB", "MGDA")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and write the results."""
    made = parser(__doc__, seeds=(0,))
    made.add_argument("--tasks", type=int, nargs="+", default=[2, 3, 5, 10, 20, 40], help="numbers of tasks")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--batch", type=int, help="images; default 256 on a GPU, else 8")
    options = parse(made, arguments)
    if options.jobs > 1:
        made.error("--jobs needs to be 1: what is timed runs alone")
    if options.smoke:
        options.tasks, options.batch, options.rounds = [2, 3], 2, 1
    runs, out = options.runs / "mgda_ub_speed", options.out / "mgda_ub_speed"
    commands = {tasks: command(options, tasks, runs) for tasks in options.tasks}
    for tasks, words in commands.items():
        measure(words, runs / f"tasks_{tasks}.txt")
    found = {tasks: path for tasks in options.tasks if (path := runs / f"tasks_{tasks}.json").exists()}
    missing = tuple(f"{tasks} tasks" for tasks in options.tasks if tasks not in found)
    if found:
        measured = [json.loads(path.read_text()) for path in found.values()]
        rows = [row for one in measured for row in one["rows"]]
        curves = {
            name: [(row["tasks"], 1000 * row["median_s"]) for row in rows if row["variant"] == name] for name in SHOWN
        }
        plots.lines(curves, "tasks", "time of a step, ms", out / "plot.png")
        shown = [shlex.join(words) for words in commands.values()]
        page.write(make_page(measured, rows, shown, missing, options.smoke), out)
    page.finish(1 if missing else 0, out)


def command(options: argparse.Namespace, tasks: int, runs: Path) -> list[str]:
    """What measures one number of tasks."""
    words = ["python", "-m", "scripts.bench_mgda_ub", "--tasks", str(tasks), "--rounds", str(options.rounds)]
    words += ["--threads", str(options.threads), "--json", str(runs / f"tasks_{tasks}.json")]
    words += ["--batch", str(options.batch)] if options.batch else []
    return words + (["--width", "2"] if options.smoke else [])


def measure(words: Sequence[str], log: Path) -> None:
    """Runs a command whose figures are not there; they stay those of the command that its log begins with."""
    text, figures = shlex.join(words), log.with_suffix(".json")
    if figures.exists() and log.exists() and log.read_text().partition("\n")[0] == text:
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    figures.unlink(missing_ok=True)
    with log.open("w") as output:
        print(text, file=output, flush=True)
        done = subprocess.run([sys.executable, *words[1:]], stdout=output, stderr=output, check=False)
    print(f"{text}: {'done' if done.returncode == 0 else f'exit code {done.returncode}, see {log}'}", flush=True)


def make_page(
    measured: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    commands: Sequence[str],
    missing: tuple[str, ...],
    smoke: bool,
) -> Reproduction:
    """Tables, claims and commands."""
    by_tasks: dict[int, dict[str, float]] = {}
    for row in rows:
        by_tasks.setdefault(row["tasks"], {})[row["variant"]] = row["median_s"]
    cells = [
        (str(tasks), *(f"{1000 * s[name]:.0f}" for name in SHOWN), f"{s['MGDA'] / s['MGDA-UB']:.1f}")
        for tasks, s in by_tasks.items()
    ]
    tables = [text_table("", ("tasks", *(f"{name}, ms" for name in SHOWN), "MGDA over MGDA-UB"), tuple(cells))]
    size = f"width {measured[0]['width']}, batch {measured[0]['batch']}"
    if not smoke:
        published, source = page.published("mgda_ub_speed")
        theirs = [
            (name, row["tasks"], row["full hours"], row["upper-bound hours"], f"{ratio(row):.1f}")
            for name, row in published.items()
        ]
        header = ("training", "tasks", "MGDA, hours", "MGDA-UB, hours", "MGDA over MGDA-UB")
        tables.append(text_table(f"Published ({source}): whole trainings on a GPU", header, tuple(theirs)))
    return Reproduction(
        title="Time of MGDA-UB (Sener & Koltun 2018, table 2)",
        made_of=(
            f"A step of training, forward pass to Adam, of ResNet-18 ({size}) on made-up pictures of 64x64, two "
            "outputs per task. Noise serves as well as pictures: time does not depend on what is in them."
            + (" **A smoke run: these numbers show that everything runs, and nothing else.**" if smoke else "")
        ),
        tables=tuple(tables),
        claims=() if smoke else tuple(claims(by_tasks)),
        reasons=()
        if smoke
        else (
            "The 3 tasks of the paper are Cityscapes' dense ones with large heads; here they are three attributes, "
            "whose heads cost nothing, so that more of the time can be saved.",
            "Theirs are hours of whole trainings, batch 256, on a GPU; ours are steps on the machine below.",
        ),
        records=tuple(
            {
                "method": row["variant"],
                "seed": 0,
                "values": {f"{row['tasks']} tasks, s": row["median_s"]},
                "seconds": row["seconds"],
            }
            for row in rows
        ),
        commands=tuple(commands),
        machine=measured[-1]["machine"],
        missing=missing,
    )


def ratio(row: dict[str, str]) -> float:
    """A published row's hours of MGDA over those of MGDA-UB."""
    return float(row["full hours"]) / float(row["upper-bound hours"])


def claims(by_tasks: dict[int, dict[str, float]]) -> list[Claim]:
    """What the paper says of the time, and how it fared."""
    made = []
    if 3 in by_tasks:
        saved = 1 - by_tasks[3]["MGDA-UB"] / by_tasks[3]["MGDA"]
        made.append(page.verdict("MGDA-UB takes 40% less time with 3 tasks", saved >= 0.4, f"{100 * saved:.0f}% less"))
    if 40 in by_tasks:
        times = by_tasks[40]["MGDA"] / by_tasks[40]["MGDA-UB"]
        made.append(
            page.verdict("MGDA-UB is 25 times as fast with 40 tasks", times >= 25, f"{times:.1f} times as fast")
        )
    return made


if __name__ == "__main__":
    main()
