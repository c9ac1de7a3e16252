"""The runs of a table: a sweep, whose file is made here, and which goes on where it was."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mtrl.cli.main import main as mtrl
from mtrl.cli.sweep import read
from mtrl.runs.errors import UserError
from mtrl.sweep import reach

Changes = Mapping[str, Any]
"""Fields of a configuration: `{"method.name": "cagrad", "method.c": 0.4}`."""
INTERRUPTED = 130
"""The status of a sweep that Ctrl-C has stopped."""


class Runs(NamedTuple):
    """How the runs of a sweep stand."""

    name: str
    status: int
    """Of `mtrl sweep`: 0 if all are finished."""
    command: str
    file: str
    """Its text."""
    missing: tuple[str, ...]
    """Which are not finished."""


def slug(label: str) -> str:
    """A name for files."""
    return "".join(c if c.isalnum() else "-" for c in label.lower())


def write(
    name: str,
    base: str,
    variants: Mapping[str, Changes],
    options: argparse.Namespace,
    common: Changes | None = None,
    resources: Mapping[str, Any] | None = None,
) -> Path:
    """The file of a sweep, beside its runs: `<options.runs>/<name>/<slug of a label>/seed_<k>`.

    Args:
        name: of the sweep.
        base: the configuration that comes with mtrl.
        variants: by label.
        options: as of `scripts.reproduce.options`.
        common: fields that all runs have otherwise than `base`.
        resources: of a run, where `options.threads` is not all of it.
    """
    tree = {
        "name": name,
        "base": base,
        "changes": dict(common or {}),
        "variants": {slug(label): dict(changes) for label, changes in variants.items()},
        "seeds": options.seeds,
        "resources": {"cpus": options.threads, **(resources or {})},
    }
    path: Path = options.runs / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


def carry_out(path: Path, options: argparse.Namespace) -> Runs:
    """Trains and evaluates what of a sweep is not finished."""
    status = mtrl(["sweep", str(path), "--out", str(options.runs), "--jobs", str(options.jobs)])
    try:
        file, trials = read(path, options.runs)
    except UserError:  # the sweep has said so
        sys.exit(status)
    missing = tuple(trial.key for trial in trials if not reach.is_finished(trial, file.keep))
    return Runs(file.name, status, f"mtrl sweep {path.name} --jobs {options.jobs}", path.read_text(), missing)
