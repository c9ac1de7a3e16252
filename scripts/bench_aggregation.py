"""Milliseconds and error of every aggregation method beside TorchJD's and Nash-MTL's published procedure (cvxpy).

    python -m scripts.bench_aggregation [--tasks 2 10 50] [--batch 256] [--seconds 0.3] [--out FILE.md|FILE.json]

One process, one thread, the same float64 matrices for everybody, of two families: `independent` normal gradients, and
`spread`, their norms spread over 1e4. Nothing is warm-started: a solver is built anew before each call, untimed. Times
and errors are medians over calls, the first call left out. What raises or warns says so in its cell.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import torch

from scripts.aggregation_bench.measure import Cell, measure_all
from scripts.aggregation_bench.table import document
from scripts.machine import machine_line


def installed_peers() -> set[str]:
    """TorchJD and cvxpy, as far as there; a line for what is not."""
    hints = {"torchjd": "its columns are", "cvxpy": "Nash-MTL's published procedure is"}
    for name, what in hints.items():
        if find_spec(name) is None:
            print(f"{name} is not installed (pip install {name}): {what} left out", file=sys.stderr)
    return {name for name in hints if find_spec(name) is not None}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 10, 50], help="numbers of tasks")
    parser.add_argument("--batch", type=int, default=256, help="matrices in a batch")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each cell; one call may take longer")
    parser.add_argument("--out", type=Path, help="also write the table here, or its figures if it ends in .json")
    options = parser.parse_args(arguments)
    if min(options.tasks) < 1 or options.batch < 1 or options.seconds <= 0:
        parser.error("--tasks, --batch and --seconds need positive numbers")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write it."""
    options = parse(arguments)
    torch.set_num_threads(1)
    peers = installed_peers()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    cells: list[Cell] = []
    for tasks in options.tasks:
        cells += measure_all(tasks, options.batch, options.seconds, peers, devices)
    text = document(cells, options.tasks, options.batch, peers, devices)
    print(text)
    if options.out is not None:
        figures = {"machine": machine_line(peers, devices), "cells": cells}
        as_json = options.out.suffix == ".json"
        options.out.write_text(json.dumps(figures, default=asdict, indent=1) if as_json else text + "\n")


if __name__ == "__main__":
    main()
