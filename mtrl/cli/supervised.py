"""`mtrl supervised CONFIG.yaml`: train and evaluate every seed on a benchmark, then report all seeds of the run."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from mtrl.cli.arguments import parse_arguments
from mtrl.cli.progress import Progress
from mtrl.cli.success import show_report, warn
from mtrl.cli.tables import print_plain
from mtrl.cli.tracking import Tracker
from mtrl.cli.train_help import train_help
from mtrl.report import write_report
from mtrl.runs.errors import UserError
from mtrl.supervised import SupervisedConfig, train

_DOES = "Train on a supervised benchmark for every seed, evaluate, and report all seeds of the run."
_EXAMPLE = "configs/supervised/multimnist.yaml"
_INTERRUPTED = 130
_SHOWN_METRICS = 4


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed."""
    if {"-h", "--help"} & set(words):
        print(train_help("mtrl supervised", _DOES, SupervisedConfig))
        return 0
    arguments = parse_arguments(words, SupervisedConfig, _EXAMPLE)
    config, console = arguments.config, Console()
    root = Path(config.out) / config.name
    folders = {seed: root / f"seed_{seed}" for seed in config.seeds}
    for folder in folders.values():  # the last seed's too, before time is spent on the first
        if (folder / "config.yaml").exists() and not arguments.resume:
            raise UserError(f"run {folder} exists: --resume continues it, --name or --out make another")
    try:
        finished = all(_train(config, seed, folder, arguments.resume, console) for seed, folder in folders.items())
    except KeyboardInterrupt:
        finished = False
    if not finished:
        again = shlex.join(["mtrl", "supervised", *(word for word in words if word != "--resume"), "--resume"])
        print_plain(console, f"Interrupted. To go on: {again}")
        return _INTERRUPTED
    show_report(console, write_report([root], root / "report", warn))
    print_plain(console, f"Runs:   {root}")
    return 0


def _train(config: SupervisedConfig, seed: int, folder: Path, resume: bool, console: Console) -> bool:
    """Train and evaluate one seed; False if it was interrupted."""
    with ExitStack() as stack:
        tracker = stack.enter_context(Tracker(config, seed, folder)) if config.track else None
        progress = stack.enter_context(Progress(console, f"{config.name}/seed_{seed}"))

        def on_event(event: dict[str, Any]) -> None:
            if event["kind"] == "progress":
                progress.update(event)
            elif line := _line(event, config.epochs, quiet=console.is_terminal):
                progress.update({"kind": "note", "text": line})
            if tracker:
                tracker.update(event)

        result = train(config, seed, folder, resume=resume, on_event=on_event)
        if tracker and result.evaluation:
            metrics = [{"name": row["name"], "value": row["value"]} for row in result.evaluation["metrics"]]
            tracker.finish({"tasks": metrics, "mean": {}})
    return not result.interrupted


def _line(event: dict[str, Any], epochs: int, quiet: bool) -> str:
    """What is told of an event; empty for nothing. The bar of a terminal says how far the run is."""
    if event["kind"] == "start":
        return f"data: {event['data']['source']}"
    if quiet:
        return ""
    if event["kind"] == "train":
        return f"epoch {event['epoch']}/{epochs}, loss {_numbers(event['loss'])}"
    return f"epoch {event['epoch']}/{epochs}, {event['split']} {_numbers(event['metrics'])}"


def _numbers(values: dict[str, float | None]) -> str:
    shown = [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
    more = f" and {len(shown) - _SHOWN_METRICS} more" if len(shown) > _SHOWN_METRICS else ""
    return ", ".join(shown[:_SHOWN_METRICS]) + more
