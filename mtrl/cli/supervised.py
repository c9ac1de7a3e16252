"""`mtrl supervised CONFIG`: train and evaluate every seed on a benchmark, then report all seeds of the run."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.progress import Progress
from mtrl.cli.seeds import Outcome, train_seeds
from mtrl.cli.tracking import Tracker
from mtrl.runs.events import Event
from mtrl.runs.folder import check_may_train
from mtrl.supervised import train

_DOES = "Train on a supervised benchmark for every seed, evaluate, and report all seeds of the run."
_EXAMPLE = "supervised/multimnist"
_SHOWN_METRICS = 4


def run(words: list[str]) -> int:
    """Run the command; 130 if it was interrupted, and then how to resume is printed."""
    return train_seeds("supervised", _DOES, _EXAMPLE, SupervisedConfig, words, _train)


def _train(config: SupervisedConfig, folders: Mapping[int, Path], resume: bool, console: Console) -> Outcome:
    """Train and evaluate one seed after the other."""
    for seed, folder in folders.items():  # the last one's too, before time is spent on the first
        check_may_train(folder, config, seed, resume)
    finished = all(_train_seed(config, seed, folder, resume, console) for seed, folder in folders.items())
    return Outcome(interrupted=not finished)


def _train_seed(config: SupervisedConfig, seed: int, folder: Path, resume: bool, console: Console) -> bool:
    """Train and evaluate one seed; False if it was interrupted."""
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console, f"{config.name}/seed_{seed}"))

        def warn(line: str) -> None:
            progress.update({"kind": "note", "text": f"warning: {line}"})

        tracker = stack.enter_context(Tracker(config, seed, folder, warn)) if config.track else None

        def on_event(event: Event) -> None:
            if event["kind"] == "progress":
                progress.update(event)
            elif line := _line(event, config.epochs, quiet=console.is_terminal):
                progress.update({"kind": "note", "text": line})
            if tracker:
                tracker.update(event)

        result = train(config, seed, folder, resume=resume, on_event=on_event)
        if tracker and result.evaluation:
            tracker.finish(result.evaluation)
    return not result.interrupted


def _line(event: Event, epochs: int, quiet: bool) -> str:
    """What is told of an event; empty for nothing. The bar of a terminal says how far the run is."""
    if event["kind"] == "start":
        return f"data: {event['data']['source']}"
    if quiet:
        return ""
    if event["kind"] == "train":
        return f"epoch {event['epoch']}/{epochs}, loss {_numbers(event['loss'])}"
    if event["kind"] == "evaluation":
        return f"epoch {event['epoch']}/{epochs}, {event['split']} {_numbers(event['metrics'])}"
    return ""


def _numbers(values: Mapping[str, float | None]) -> str:
    shown = [f"{name} {value:.4g}" for name, value in values.items() if value is not None]
    more = f" and {len(shown) - _SHOWN_METRICS} more" if len(shown) > _SHOWN_METRICS else ""
    return ", ".join(shown[:_SHOWN_METRICS]) + more
