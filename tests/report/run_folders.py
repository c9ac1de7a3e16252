"""Small run folders as training writes them, with chosen numbers, to test reading and arithmetic."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mtrl.report.contents import Contents
from mtrl.runs.events import Evaluation, Start, Train

TASKS = ("reach-v3", "push-v3")
SIMULATOR = {
    "backend": "metaworld",
    "versions": {"metaworld": "3.1.1", "mujoco": "3.3.0"},
    "goals": "50 per task",
    "reward": "v2",
}
PROTOCOL = {
    "name": "modern",
    "horizon": 500,
    "episodes": 50,
    "policy": "deterministic, the last checkpoint",
    "goals": "each of 50 once",
    "reward": "v2",
}


def start(seed: int, tasks: Sequence[str] = TASKS, **more: Any) -> Start:
    event: Any = {
        "kind": "start",
        "time": "2026-01-01T00:00:00+00:00",
        "tasks": list(tasks),
        "seed": seed,
        "device": "cpu",
        "hardware": "2 cores",
        "versions": {"torch": "2.13.0"},
        "simulator": SIMULATOR,
        "git_commit": "0123456789abcdef+changes",
        **more,
    }
    return event


def train(step: int, *success: float | None, tasks: Sequence[str] = TASKS) -> Train:
    rates = dict(zip(tasks, success, strict=True))
    return {
        "kind": "train",
        "step": step,
        "updates": step // 10,
        "wall_s": step / 100,
        "steps_per_s": 100.0,
        "updates_per_s": 10.0,
        "success": rates,
        "return": {task: None if rate is None else 100 * rate for task, rate in rates.items()},
        "loss": {"critic": dict.fromkeys(tasks, 1.0), "actor": dict.fromkeys(tasks, -1.0)},
    }


def evaluation(step: int, *success: float, tasks: Sequence[str] = TASKS) -> Evaluation:
    rates: dict[str, Any] = dict(zip(tasks, success, strict=True))
    return {
        "kind": "evaluation",
        "step": step,
        "wall_s": step / 100,
        "protocol": PROTOCOL | {"episodes": 10},
        "simulator": SIMULATOR,
        "success_any": rates,
        "success_final": rates,
        "return": rates,
    }


def result(
    step: int,
    seed: int,
    success_any: Sequence[float],
    success_final: Sequence[float],
    *,
    tasks: Sequence[str] = TASKS,
    protocol: Mapping[str, Any] = PROTOCOL,
    simulator: Mapping[str, Any] = SIMULATOR,
    unseen: Sequence[float] = (),
) -> dict[str, Any]:
    episodes = protocol["episodes"]
    rows = [
        {"name": task, "episodes": episodes, "success_any": a, "success_final": f, "mean_return": 10 * a}
        for task, a, f in zip(tasks, success_any, success_final, strict=True)
    ]
    keys = ("success_any", "success_final", "mean_return")
    for row, rate in zip(rows, unseen, strict=False):
        row |= {"success_any_unseen": rate, "success_final_unseen": rate}
    return {
        "protocol": protocol,
        "simulator": simulator,
        "checkpoint": {"step": step, "updates": step // 10},
        "seed": seed,
        "wall_s": 1.0,
        "versions": {"torch": "2.13.0"},
        "tasks": rows,
        "mean": {key: sum(row[key] for row in rows) / len(rows) for key in keys},
    }


def write_run(
    out: Path,
    name: str = "a",
    seed: int = 0,
    *,
    lines: Sequence[Mapping[str, object]] | None = None,
    final: Mapping[str, Any] | None = None,
    **config: Any,
) -> Path:
    """Write `<out>/<name>/seed_<seed>` and return it; `final=None` leaves it without an evaluation."""
    folder = out / name / f"seed_{seed}"
    (folder / "checkpoints").mkdir(parents=True)
    tree = {
        "name": name,
        "out": str(out),
        "seeds": [seed],
        "env": {"horizon": 200},
        "evaluation": {"horizon": 500},
        **config,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    if lines is None:
        lines = [start(seed), train(1000, None, None), train(2000, 0.5, 0.0), train(3000, 1.0, 0.5)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if final is not None:
        (folder / "evaluation.json").write_text(json.dumps(final))
    return folder


def write_tables(contents: Contents, out: Path) -> None:
    """Of a report, without the page and the plots, which take nearly all of its time."""
    out.mkdir(exist_ok=True)
    for name, content in contents.tables().items():
        (out / name).write_bytes(content)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The lines of a table, by the names of its columns."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
