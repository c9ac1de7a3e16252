"""What is left of a run, by the speeds of its phases."""

from dataclasses import replace

import pytest

from mtrl.agents import Config, clock, phases
from mtrl.agents.pace import Budget, Pace, budget
from mtrl.agents.phases import COMPILING, TRAINING, WARMUP, Phases

PLAIN = Budget(steps=1000, warmup_steps=200, steps_per_vector_step=10, checkpoint_every_steps=1000)


def test_unknown_before_every_speed_that_is_needed_is_known() -> None:
    pace = Pace(PLAIN)
    assert pace.left_s(0) is None
    pace.warmed_up(0.5)
    assert pace.left_s(10) is None
    pace.learned(2.0)
    assert pace.left_s(10) == pytest.approx(19 * 0.5 + 80 * 2.0)
    assert pace.left_s(600) == pytest.approx(40 * 2.0)
    assert pace.left_s(1000) == 0


def test_a_run_of_warm_up_alone_needs_no_other_speed() -> None:
    pace = Pace(replace(PLAIN, warmup_steps=1000))
    pace.warmed_up(0.5)
    assert pace.left_s(900) == pytest.approx(10 * 0.5)


def test_checkpoints_count_those_that_are_still_to_come() -> None:
    pace = Pace(replace(PLAIN, warmup_steps=0, checkpoint_every_steps=400))
    pace.learned(1.0)
    pace.saved(7.0)
    assert pace.left_s(400) == pytest.approx(60 + 2 * 7.0)  # at 800 and at the end
    assert pace.left_s(990) == pytest.approx(1 + 7.0)


def test_evaluations_take_the_simulators_speed_of_the_warm_up_until_one_is_measured() -> None:
    pace = Pace(
        replace(
            PLAIN, eval_every_steps=400, eval_simulated_steps=100, final_simulated_steps=5000, num_replicas=2, speedup=4
        )
    )
    pace.started(3.0)
    pace.warmed_up(0.8)  # 20 simulated steps, with a quarter of the processes that an evaluation has
    pace.learned(1.0)
    assert pace.left_s(400) == pytest.approx(60 + (3 + 100 * 0.01) + (3 + 5000 * 0.01))
    pace.evaluated(5.0)
    assert pace.left_s(800) == pytest.approx(20 + 3 + 5000 * 0.02)


def test_a_run_that_goes_on_knows_the_simulators_speed() -> None:
    first = Pace(replace(PLAIN, final_simulated_steps=5000))
    first.warmed_up(0.1)
    second = Pace(first.budget)
    second.load_state_dict(first.state_dict())
    second.learned(1.0)
    assert second.left_s(990) == pytest.approx(1 + 5000 * 0.01)


def test_what_is_due_more_often_than_a_vector_step_is_done_once_in_each() -> None:
    pace = Pace(replace(PLAIN, warmup_steps=0, checkpoint_every_steps=1, eval_every_steps=3, eval_simulated_steps=100))
    pace.learned(1.0)
    pace.saved(7.0)
    pace.evaluated(2.0)
    assert pace.left_s(950) == pytest.approx(5 * (1 + 7 + 2))


def test_an_evaluation_at_the_last_step_counts_where_none_follows() -> None:
    pace = Pace(replace(PLAIN, eval_every_steps=400, eval_simulated_steps=100))
    pace.learned(1.0)
    pace.evaluated(2.0)
    assert pace.left_s(600) == pytest.approx(40 + 2 * 2.0)  # at 800 and at the end
    assert pace.left_s(1000) == 0


def test_a_step_without_updates_leaves_the_simulators_speed_that_is_known() -> None:
    first = Pace(replace(PLAIN, eval_simulated_steps=100, final_simulated_steps=5000))
    first.evaluated(1.0)
    second = Pace(first.budget)
    second.load_state_dict(first.state_dict())
    for pace in (first, second):
        pace.warmed_up(30.0)  # a small file's replay is empty at first
        pace.learned(1.0)
        assert pace.left_s(990) == pytest.approx(1 + 5000 * 0.01)


def test_the_budget_of_a_configuration() -> None:
    tree = {
        "steps": 365_000,
        "env": {"num_envs_per_task": 4},
        "training": {"eval_every_steps": 100_000, "eval_episodes": 10},
    }
    config = Config.model_validate(tree)
    found = budget(config, num_replicas=2, train_workers=1, eval_workers=4)
    assert found.steps_per_vector_step == 40
    assert found.eval_simulated_steps == 2 * 10 * 10 * 500
    assert found.final_simulated_steps == 2 * 50 * 10 * 500 * 2  # as many on unseen goals
    tree["evaluation"] = {"unseen_goals": False}
    seen = budget(Config.model_validate(tree), num_replicas=2, train_workers=1, eval_workers=4)
    assert seen.final_simulated_steps == 2 * 50 * 10 * 500
    assert found.speedup == 2  # four processes evaluate where two seeds had one each


def test_a_stopped_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    time = 1000.0
    monkeypatch.setattr(clock.time, "monotonic", lambda: time)
    stand = clock.Clock()
    stand.go_on(5.0)
    time += 2
    stand.stop()
    time += 60
    assert stand.now() == 7
    stand.stop()
    stand.go_on()
    time += 1
    assert stand.now() == 8


class Clock:
    """Moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.graphs = 1000.0, 0
        monkeypatch.setattr(phases.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(Phases, "_compiled_graphs", lambda self_, num_updates: self.graphs)


@pytest.mark.parametrize("updates_per_vector_step", [1, 4])
@pytest.mark.parametrize("update_s", [0.01, 1.6])
def test_within_a_quarter_of_the_truth_after_a_minute_of_updates(
    monkeypatch: pytest.MonkeyPatch, updates_per_vector_step: int, update_s: float
) -> None:
    """A machine with speeds of its own, whose compiler takes a minute, and again for a rarer kind of update."""
    clock, told = Clock(monkeypatch), []
    parts = Budget(100_000, 10_000, 40, 25_000, 30_000, 50_000, 250_000)
    stand = Phases(parts, True, lambda event: told.append((event["phase"], clock.now)))
    estimates = []

    def vector_step(updates: int) -> None:
        done = getattr(vector_step, "updates", 0)
        with stand.vector_step(updates):
            clock.now += 0.040 + updates * update_s
            if (updates and done <= 1 < done + updates) or done <= 20 < done + updates:
                clock.now += 60
                clock.graphs += 1
        vector_step.updates = done + updates  # type: ignore[attr-defined]

    for step in range(40, 100_001, 40):
        vector_step(0 if step <= 10_000 else updates_per_vector_step)
        if step % 30_000 == 0:
            with stand.timing("evaluating", stand.pace.evaluated):
                clock.now += 50_000 * 0.9e-3
        if step % 25_000 == 0:
            with stand.timing("saving", stand.pace.saved):
                clock.now += 5
        if stand.pace.learned_s >= 60:
            estimates.append((clock.now, stand.progress(step, updates_per_vector_step)["left_s"]))
    end = clock.now + 250_000 * 1.1e-3
    first_now, first_left = estimates[0]
    assert first_left == pytest.approx(end - first_now, rel=0.25)
    for now, left in estimates:
        assert left == pytest.approx(end - now, rel=0.25)

    phases = [phase for phase, _ in told]
    assert phases[:3] == [WARMUP, COMPILING, TRAINING]
    assert phases[3:6] == ["saving", TRAINING, "evaluating"]
    compiling = dict(reversed(told))[TRAINING] - dict(reversed(told))[COMPILING]
    assert compiling == pytest.approx(60, abs=2 + 5 * update_s)


def test_speeds_are_of_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    stand = Phases(PLAIN, False, lambda event: None)
    with stand.vector_step(0):
        clock.now += 0.1
    progress = stand.progress(10, 4)
    assert (progress["steps_per_s"], progress["updates_per_s"]) == (pytest.approx(100), 0)
    with stand.vector_step(4):
        clock.now += 2.0
    progress = stand.progress(20, 4)
    assert (progress["steps_per_s"], progress["updates_per_s"]) == (pytest.approx(5), pytest.approx(2))
    assert progress["learned_s"] == pytest.approx(2.0)
