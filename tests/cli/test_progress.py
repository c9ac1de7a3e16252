"""What is shown while a run goes on."""

import io
from typing import Any

import pytest
from rich.console import Console

from mtrl.cli.progress import Progress, duration

COUNTERS = {
    "step": 250_000,
    "wall_s": 100.0,
    "steps_per_s": 2500.0,
    "updates_per_s": 19.6,
    "success_mean": 0.4,
}
PROGRESS = {"kind": "progress", "steps": 1_000_000, **COUNTERS}
TRAIN = {"kind": "train", **COUNTERS, "success": {"reach-v3": 0.5, "push-v3": 0.3}}


def shown(*events: dict[str, Any], terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=200, color_system=None)
    with Progress(console, "a/seed_0", steps=1_000_000) as progress:
        for event in events:
            progress.update(event)
    return text.getvalue()


def test_plain_output_is_a_line_per_logged_event() -> None:
    line = "a/seed_0: step 250,000 (25%), 2,500 steps/s, 20 updates/s, success 0.40, 5:00 left\n"
    assert shown(PROGRESS, TRAIN, PROGRESS, terminal=False) == line


def test_plain_output_before_the_first_episode() -> None:
    line = shown(TRAIN | {"success_mean": None, "steps_per_s": 0.0}, terminal=False)
    assert line == "a/seed_0: step 250,000 (25%), 0 steps/s, 20 updates/s, no episode yet\n"


def test_evaluations_are_printed() -> None:
    event = {
        "kind": "evaluation",
        "step": 1000,
        "success_any": {"a": 1.0, "b": 0.5},
        "success_final": {"a": 0.5, "b": 0.0},
    }
    line = "a/seed_0: step 1,000, evaluation: any-step 0.75, final-step 0.25"
    assert shown(event, terminal=False) == line + "\n"
    assert line in shown(event, terminal=True)


def test_terminal_shows_a_bar() -> None:
    text = shown(PROGRESS, TRAIN, terminal=True)
    assert "a/seed_0" in text
    assert "25%" in text
    assert "2,500 steps/s, 20 updates/s, success 0.40, 5:00 left" in text


def test_an_evaluation_shows_its_share() -> None:
    event = {"kind": "progress", "share": 0.25, "wall_s": 30.0}
    assert shown(event, terminal=False) == ""
    text = shown(event, terminal=True)
    assert "25%" in text
    assert "1:30 left" in text


def test_a_start_event_is_not_shown() -> None:
    assert shown({"kind": "start"}, terminal=False) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (-1, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3723, "1:02:03")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
