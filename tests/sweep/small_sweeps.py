"""Sweeps of runs that are as small as they can be, with the four analytic tasks of `Points`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from mtrl.runs import checkpoint
from mtrl.runs.policy_only import has_policy_only
from mtrl.sweep import SweepFile, Trial, read_sweep, trials
from tests.cli.running import until
from tests.runs.small_runs import TREE, small

LONG = 3_000
"""Steps of a run that writes fifteen checkpoints: there is time to interfere."""
Undisturbed = Callable[[Path, str, int], Path]
"""Of a sweep's file, a method and a seed, the run of that trial without a sweep."""


def base(steps: int) -> dict[str, Any]:
    """A configuration with many checkpoints."""
    settings = {"checkpoint_every_steps": 200, "log_every_steps": 200}
    return {**TREE, "steps": steps, "training": {**TREE["training"], **settings}}


def write_sweep(folder: Path, steps: int = 320, **fields: Any) -> Path:
    """The file of a sweep: two methods, two seeds."""
    (folder / "base.yaml").write_text(yaml.safe_dump(base(steps)))
    tree = {"name": "s", "base": "base.yaml", "methods": ["mean", "pcgrad"], "seeds": 2, **fields}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(tree))
    return folder / "sweep.yaml"


def result(folder: Path) -> tuple[Any, dict[str, list[torch.Tensor]]]:
    """What a finished run holds, without what the clock says: the evaluation's rows, and the networks by name."""
    evaluation = json.loads((folder / "evaluation.json").read_text())
    parameters = checkpoint.load_newest(folder / "checkpoints")["agent"]["parameters"]
    return (evaluation["tasks"], evaluation["checkpoint"]), parameters


def assert_equal_bits(one: Path, other: Path) -> None:
    """Two finished runs are the same; of the first the policy alone may be left."""
    (rows, networks), (other_rows, other_networks) = result(one), result(other)
    assert rows == other_rows
    if has_policy_only(one / "checkpoints"):
        assert "actor" in networks
    else:
        assert networks.keys() == other_networks.keys()
    for name, tensors in networks.items():
        assert all(torch.equal(a, b) for a, b in zip(tensors, other_networks[name], strict=True)), name


def log_lines(folder: Path) -> list[dict[str, Any]]:
    """Of `metrics.jsonl`, the lines of training, without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("wall_s", "steps_per_s", "updates_per_s", "time_share")
    return [{k: v for k, v in line.items() if k not in clock} for line in lines if line["kind"] == "train"]


def trials_of(path: Path, out: Path) -> list[Trial]:
    """The trials of a file that `write_sweep` wrote, without the command."""
    file: SweepFile = read_sweep(path)

    def load(given: Mapping[str, list[str]]) -> Any:
        return small(name=given["name"][0], out=given["out"][0], method={"name": given["method.name"][0]})

    return trials(file, out, load)


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file's time and size."""
    found: Callable[[Path], Any] = lambda path: (path.stat().st_mtime_ns, path.stat().st_size)  # noqa: E731
    return {str(path.relative_to(folder)): found(path) for path in folder.rglob("*") if path.is_file()}


def folder(path: Path, run: str, seed: int) -> Path:
    return path.parent / "runs" / "s" / run / f"seed_{seed}"


def steps(run: Path) -> int:
    """Of its newest checkpoint."""
    return max(checkpoint.steps(run / "checkpoints"), default=0)


def holder(run: Path) -> int:
    """The process that trains there."""
    return int(until((run / "lock").read_text).split()[0])  # empty for a moment, while it changes hands
