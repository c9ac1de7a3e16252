"""What is shown while a run goes on."""

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtrl import envs
from mtrl.agents import Config, phases, training
from mtrl.agents.learner import Learner
from mtrl.cli.progress import Progress
from mtrl.cli.promise import Promise
from mtrl.cli.screen import duration
from mtrl.runs.events import Evaluation, Event, Phase
from mtrl.runs.events import Progress as Told
from tests.existing import existing

COUNTERS = {
    "step": 250_000,
    "wall_s": 100.0,
    "steps_per_s": 2500.0,
    "updates_per_s": 19.6,
    "success_mean": 0.4,
    "left_s": 300.0,
}
PROGRESS: Any = {"kind": "progress", "steps": 1_000_000, **COUNTERS}
TRAIN: Any = {"kind": "train", **COUNTERS, "success": {"reach-v3": 0.5, "push-v3": 0.3}}


def points(steps: int, **settings: int) -> Config:
    """A run of the analytic tasks, 16 steps in a vector step."""
    env = {"tasks": "Points", "horizon": 5, "num_workers": 1}
    network = {"kind": "mlp", "width": 8, "depth": 1}
    settings = {"threads": 1, "replay_capacity_per_task": 1000, "batch_per_task": 4, **settings}
    tree = {"env": env, "method": {"name": "mean"}, "steps": steps, "device": "cpu", "training": settings}
    return Config.model_validate(tree | {"agent": {"actor": network, "critic": network}})


def shown(*events: Event, terminal: bool, width: int = 200, height: int = 25) -> str:
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
    line = shown(TRAIN | {"success_mean": None, "updates_per_s": 0.0, "left_s": None}, terminal=False)
    assert line == "a/seed_0: step 250,000 (25%), 2,500 steps/s, no episode yet\n"


def test_plain_output_is_a_line_per_phase_but_training() -> None:
    names = ("compiling the update", "training", "evaluating")
    phases: list[Phase] = [{"kind": "phase", "phase": name} for name in names]
    assert shown(*phases, terminal=False) == "a/seed_0: compiling the update\na/seed_0: evaluating\n"


class Log(io.StringIO):
    """Lets a test wait for its lines."""

    def lines_after(self, count: int) -> list[str]:
        """All lines, once there are so many more than now."""
        wanted, until = len(self.getvalue().splitlines()) + count, time.monotonic() + 60
        while len(self.getvalue().splitlines()) < wanted:
            assert time.monotonic() < until, f"silent: {self.getvalue()!r}"
            time.sleep(0.005)
        return self.getvalue().splitlines()


def test_a_log_says_what_goes_on_however_long_it_takes() -> None:
    log = Log()
    with Progress(Console(file=log, width=200), "a/seed_0", steps=1_000_000, quiet_s=0.02) as progress:
        assert log.lines_after(2)[-1] == "a/seed_0: starting"
        progress.update({"kind": "phase", "phase": "compiling the update"})
        assert re.fullmatch(r"a/seed_0: compiling the update for 0:0\d", log.lines_after(2)[-1])
        progress.update({"kind": "phase", "phase": "training"})
        progress.update(PROGRESS)
        assert log.lines_after(2)[-1].startswith("a/seed_0: step 250,000 (25%), 2,500 steps/s, 20 updates/s")
    ended = log.getvalue()
    time.sleep(0.1)
    assert log.getvalue() == ended


def test_a_slow_update_is_not_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second update takes as long as the log is silent."""
    log, update, during = Log(), Learner.update, []

    def slow(self: Learner, batch: Any) -> Any:
        if self.num_updates == 1:
            during.extend(log.lines_after(3)[-2:])
        return update(self, batch)

    monkeypatch.setattr(Learner, "update", slow)
    config = points(steps=160, updates_per_vector_step=2, warmup_steps=80)
    with Progress(Console(file=log, width=200), "a/seed_0", config.steps, quiet_s=0.05) as progress:
        training.train(config, {0: tmp_path}, on_event=lambda event, seed: progress.update(event))
    assert len(during) == 2
    for line in during:
        assert re.fullmatch(r"a/seed_0: training for 0:\d\d", line)


def test_a_step_that_takes_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mtrl.cli.progress.time.monotonic", lambda: now)
    progress = Progress(Console(file=io.StringIO()), "a", steps=1_000_000)
    progress.update({"kind": "phase", "phase": "training"})
    progress.update(PROGRESS | {"updates_per_s": 0.6})
    now += 9
    assert progress.text() == "step 250,000 (25%), 2,500 steps/s, 0.6 updates/s, success 0.40, 5:00 left"
    now += 31
    assert progress.text().endswith("5:00 left, this step takes 0:40 so far")


def test_parts_that_go_on_at_once_are_one_line() -> None:
    progress = Progress(Console(file=io.StringIO()), "a/seeds 0 1 2", steps=1_000_000)
    progress.waiting, progress.at_once = 3, 2
    for name in ("a/seed_0", "a/seed_1"):
        progress.begin(name)
        progress.update({"kind": "phase", "phase": "training"}, name, name)
    progress.update(PROGRESS, "a/seed_0", "a/seed_0")
    other = {"step": 300_000, "left_s": 200.0, "updates_per_s": 40.0, "success_mean": None}
    progress.update(PROGRESS | other, "a/seed_1", "a/seed_1")
    # The third seed, which waits, takes as long as the second does: 100 s so far and 200 more.
    expected = "step 250,000 (25%), 2,500 steps/s each, 30 updates/s each, success 0.40, 10:00 left"
    assert progress.text() == expected
    progress.update({"kind": "phase", "phase": "evaluating"}, "a/seed_0", "a/seed_0")
    first, second = progress.text().split("; ")
    assert first == "seed_0: evaluating for 0:00"
    assert second.startswith("seed_1: step 300,000 (30%), 2,500 steps/s, 40 updates/s, no episode yet, ")
    progress.end("a/seed_0")
    assert progress.text().startswith("step 300,000 (30%)")


def test_a_budget_that_takes_far_longer_than_promised_is_told_once() -> None:
    promise = Promise(minutes=10, steps=365_000)
    event: Told = {"kind": "progress", "step": 20_000, "wall_s": 100.0, "left_s": 1699.0, "learned_s": 61.0}
    assert promise.broken(event, num_seeds=1) is None  # not yet three times that
    slow = event | {"left_s": 5000.0}
    assert promise.broken(slow | {"learned_s": 59.0}, num_seeds=1) is None  # not known well enough
    assert promise.broken(slow | {"left_s": None}, num_seeds=1) is None
    assert promise.broken({"kind": "phase", "phase": "training"}, num_seeds=1) is None
    assert promise.broken(slow, num_seeds=3) is None  # side by side, three may take three times as long
    assert promise.broken(slow, num_seeds=1) == (
        "all 365,000 steps will take 1:25:00 here, where the configuration expects 10:00: --steps 54000 would take "
        "about that; or let it run: Ctrl-C and --resume lose nothing"
    )
    assert promise.broken(slow, num_seeds=1) is None
    late = Promise(minutes=1, steps=365_000).broken(slow, num_seeds=1)
    assert late is not None
    assert "fewer --steps or smaller networks take less" in late
    assert Promise(minutes=None, steps=365_000).broken(slow, num_seeds=1) is None


def test_evaluations_are_printed() -> None:
    event: Evaluation = {
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
    monkeypatch.setattr(phases, "PROGRESS_EVERY_S", 0.0)
    config = points(steps=160)
    told: list[Event] = []
    training.train(config, {1: tmp_path / "1", 2: tmp_path / "2"}, on_event=lambda event, seed: told.append(event))
    success = [event["success"] for event in told if event["kind"] == "progress"]
    assert len(success) == 10
    assert set(success[0][1].values()) == {None}
    assert success[-1].keys() == {1, 2}
    assert set(success[-1][1]) == set(envs.task_names("Points"))
    assert all(0 <= existing(rate) <= 1 for rates in success[-1].values() for rate in rates.values())


def test_an_evaluation_shows_its_share() -> None:
    event: Told = {"kind": "progress", "share": 0.25, "wall_s": 30.0}
    assert shown(event, terminal=False) == ""
    text = shown(event, terminal=True)
    assert "25%" in text
    assert "1:30 left" in text
    log = Log()
    with Progress(Console(file=log, width=200), "film", quiet_s=0.02) as progress:
        progress.update(event)
        assert log.lines_after(2)[-1] == "film: 25%, 1:30 left"


def test_a_start_event_is_not_shown() -> None:
    assert shown({"kind": "start"}, terminal=False) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (-1, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3723, "1:02:03")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
