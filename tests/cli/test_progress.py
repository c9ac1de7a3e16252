"""What is shown while a run goes on."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import envs
from agents import Config, training
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


def shown(*events: dict[str, Any], terminal: bool, width: int = 200, height: int = 25) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=width, height=height, color_system=None)
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


def last_table(text: str) -> list[list[str]]:
    """The cells of the last picture of the tasks, a row a line."""
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()]
    begin = max(i for i, line in enumerate(lines) if line.lstrip().startswith("task "))
    cells = ([cell for cell in re.split(r"\s{2,}", line.strip()) if cell] for line in lines[begin:])
    return [row for row in cells if row]


def test_terminal_shows_the_tasks_of_one_seed() -> None:
    success = {3: {"reach-v3": 0.5, "push-v3": None}}
    text = shown(PROGRESS | {"success": success}, terminal=True)
    header, reach, push = last_table(text)
    assert header == ["task", "success"]
    assert reach[:2] == ["reach-v3", "0.50"]
    assert reach[2].count("━") == 6  # half of a bar of twelve
    assert push == ["push-v3", "–"]


def test_terminal_shows_the_seeds_beside_each_other() -> None:
    success = {0: {"reach-v3": 0.5, "push-v3": None}, 4: {"reach-v3": 0.75, "push-v3": 0.25}}
    assert last_table(shown(PROGRESS | {"success": success}, terminal=True)) == [
        ["task", "seed 0", "seed 4", "mean", "range"],
        ["reach-v3", "0.50", "0.75", "0.62", "0.50 to 0.75"],
        ["push-v3", "–", "0.25", "0.25", "0.25 to 0.25"],
    ]


def test_of_many_seeds_mean_and_range_are_shown() -> None:
    success = {seed: {"reach-v3": seed / 10} for seed in range(11)}
    assert last_table(shown(PROGRESS | {"success": success}, terminal=True)) == [
        ["task", "mean", "range"],
        ["reach-v3", "0.50", "0.00 to 1.00"],
    ]


@pytest.mark.parametrize("seeds", [1, 5])
def test_fifty_tasks_fit_on_a_small_terminal(seeds: int) -> None:
    success = {seed: {f"some-long-task-{i:02}-v3": i / 50 for i in range(50)} for seed in range(seeds)}
    rows = last_table(shown(PROGRESS | {"success": success}, terminal=True, width=120, height=24))
    assert len(rows) <= 20
    found = {cell for row in rows for cell in row}
    assert all(task in found for task in success[0])


def test_no_table_without_a_terminal() -> None:
    assert shown(PROGRESS | {"success": {0: {"reach-v3": 0.5}}}, terminal=False) == ""


def test_training_tells_the_success_of_every_task_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROGRESS_EVERY_S", 0.0)
    env = {"tasks": "Points", "horizon": 5, "num_workers": 1}
    settings = {"threads": 1, "replay_capacity_per_task": 1000}
    tree = {"env": env, "method": {"name": "mean"}, "steps": 160, "device": "cpu", "training": settings}
    config = Config.model_validate(tree)
    told: list[dict[str, Any]] = []
    training.train(config, {1: tmp_path / "1", 2: tmp_path / "2"}, on_event=lambda event, seed: told.append(event))
    success = [event["success"] for event in told if event["kind"] == "progress"]
    assert len(success) == 10
    assert set(success[0][1].values()) == {None}
    assert success[-1].keys() == {1, 2}
    assert set(success[-1][1]) == set(envs.task_names("Points"))
    assert all(0 <= rate <= 1 for rates in success[-1].values() for rate in rates.values())


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
