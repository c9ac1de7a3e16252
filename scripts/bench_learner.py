"""What an update costs with every aggregation method, alone and for seeds side by side; and whole runs.

    python -m scripts.bench_learner [--methods all] [--seeds 1 5] [--threads N] [--json FILE] [--out FILE] ...

Updates are measured on made-up batches of ten tasks, for the networks and rows a task of shipped configurations
(`learner_bench/updates.py`). Each method takes turns with a plain update: one backward pass of the mean loss, compiled,
without anything of single tasks (`learner_bench/plain.py`). So both meet the same load; the ratio is the median over
rounds. Every method is measured at one seed in the network's own precision; the main ones also in the other precision
and with seeds side by side. Whole runs then show how much of the
time goes to the update, to waiting for the simulators and to the rest, beside stable-baselines3's SAC on one task.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from mtrl.aggregation import METHODS
from mtrl.cores import available_cores
from mtrl.report.table import markdown
from mtrl.runs.devices import keep_freed_memory
from scripts.learner_bench import end_to_end
from scripts.learner_bench.updates import EVERY, MODES, Row, Setting, compare
from scripts.machine import machine_line
from scripts.options import check_counts

MAIN = ["mean", "mgda", "pcgrad", "cagrad", "nash_mtl", "nash_mtl, every 50"]
OWN_PRECISION = {"quick": "bfloat16", "ablations": "bfloat16", "laptop": "bfloat16", "3x400": "float32"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write them."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    rows: list[Row] = []
    for row in measure(options):
        rows.append(row)
        print(line(row), flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    text = f"{tables(rows)}\n\n{machine_line({'stable-baselines3'}, options.devices)}"
    print("\n" + text)
    if options.out is not None:
        options.out.write_text(text + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["all"], help=f"of {', '.join(sorted(METHODS))}; or all, main")
    parser.add_argument("--networks", nargs="+", default=list(OWN_PRECISION), choices=list(OWN_PRECISION))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 5], help="numbers of seeds side by side")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    parser.add_argument("--devices", nargs="+", default=["cpu"] + ["cuda"] * torch.cuda.is_available())
    parser.add_argument("--threads", type=int, default=max(1, available_cores() - 1))
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mode", choices=MODES, help="of the update; graphs on a GPU and compiled on a CPU by default")
    parser.add_argument("--vector-steps", type=int, default=300, help="of a whole run; 0 for none")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--out", type=Path, help="also write the tables here")
    options = parser.parse_args(arguments)
    if options.methods in (["all"], ["main"]):
        options.methods = [*METHODS, *(m for m in MAIN if m not in METHODS)] if options.methods == ["all"] else MAIN
    unknown = [name for name in options.methods if name.partition(EVERY)[0] not in METHODS]
    if unknown:
        parser.error(f"--methods needs names of methods, got {' '.join(unknown)}")
    check_counts(parser, options, "threads", "tasks", "rounds")
    return options


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """Every row, in the order of the options."""
    for device in options.devices:
        for network in options.networks:
            for precision in options.precisions:
                for num_seeds in options.seeds:
                    everything = precision == OWN_PRECISION[network] and num_seeds == 1
                    methods = [m for m in options.methods if everything or m in MAIN]
                    torch._dynamo.reset()
                    mode = options.mode or ("graphs" if device == "cuda" else "compiled")
                    setting = Setting(network, precision, num_seeds, device, mode, options.tasks)
                    yield from compare(methods, setting, options.rounds)
        if options.vector_steps:
            for num_seeds in options.seeds:
                for method in ("mean", "nash_mtl"):
                    yield end_to_end.training("mt10/quick.yaml", method, num_seeds, device, options.vector_steps)
            yield end_to_end.stable_baselines3(options.vector_steps, device)


def line(row: Row) -> str:
    """A row as it is found."""
    what = row.get("network") or row["config"]
    ratio = f", {row['times_plain']:.2f} times plain" if "times_plain" in row else ""
    text = f"{row['device']} {what} {row['precision']} S={row['num_seeds']} {row['method']}:"
    return f"{text} {row['updates_per_s']:.1f} updates/s{ratio}"


def tables(rows: list[Row]) -> str:
    """The measurements as tables in Markdown: of updates, and of whole runs."""
    updates, runs = ([row for row in rows if ("network" in row) == flag] for flag in (True, False))
    header = ["device, precision", "seeds", "method", "updates/s"]
    found = markdown(["network", *header, "ms", "times plain", "compiling, s"], [*map(update_row, updates)])
    if not runs:
        return found
    header += ["steps/s of a seed", "update", "wait", "act, store", "simulation alone, ms", "vector step, ms"]
    return f"{found}\n\n{markdown(['whole run', *header], [*map(run_row, runs)])}"


def made(row: Row) -> list[str]:
    """The cells that a row of either table has: how it was made, and updates a second."""
    return [f"{row['device']}, {row['precision']}", str(row["num_seeds"]), row["method"], f"{row['updates_per_s']:.1f}"]


def update_row(row: Row) -> list[str]:
    """A row of the table of updates."""
    times = f"{row['ms_per_update']:.1f}", f"{row['times_plain']:.2f}", f"{row['until_third_update_s']:.0f}"
    return [row["network"], *made(row), *times]


def run_row(row: Row) -> list[str]:
    """A row of the table of whole runs."""
    cells = [row["config"], *made(row), f"{row['steps_per_s']:.0f}"]
    if (share := row.get("time_share")) is None:
        return [*cells, *5 * [""]]
    cells += [f"{part:.0%}" for part in (share["update"], share["wait"], share["act"] + share["store"])]
    return [*cells, f"{row['simulation_alone_ms']:.1f}", f"{row['vector_step_ms']:.1f}"]


if __name__ == "__main__":
    main()
