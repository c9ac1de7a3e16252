"""The comparison with stock metaworld runs, finds nothing where there is nothing, and something where there is."""

import math
import re
from pathlib import Path

import pytest

from scripts.fidelity_check.differences import Largest
from tests.scripts.running import process, script
from tests.scripts.tables import unpadded


def test_tables(tmp_path: Path) -> None:
    pytest.importorskip("envpool")
    out = tmp_path / "fidelity.md"
    tasks = ["reach-v3", "window-close-v3"]
    done = process(
        "check_fidelity",
        *("--tasks", *tasks, "--steps", "30", "--episodes", "1", "--processes", "2", "--out", str(out)),
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text() == done.stdout
    assert "`metaworld` and stock metaworld, 30 steps of each kind: 2 of 2 tasks bit-equal.\n" in done.stdout
    assert "`envpool` and stock metaworld, 30 steps of each kind: 0 of 2 tasks bit-equal; the others" in done.stdout
    # The goals computed for stock metaworld are those of EnvPool: a wrong one would show in the first observation.
    text = unpadded(done.stdout)
    (reach,) = re.findall(r"^\| reach-v3 \| (\S+) \| \S+ @ 1 \|", text, re.MULTILINE)
    assert float(reach) < 0.02
    # Known: its window's handle is elsewhere after a reset.
    assert re.search(r"^\| window-close-v3 \| 2\.0e-01 \|", text, re.MULTILINE)
    scripted = dict(re.findall(r"^\| (\S+) \| (1\.00 / \S+ / \S+ \| 1\.00 / \S+ / \S+) \|", text, re.MULTILINE))
    assert set(scripted) == set(tasks)
    for cells in scripted.values():
        stock, exact = cells.split(" | ")
        assert stock == exact


def test_another_goal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the reset of the second episode on, stock metaworld has another goal; it always says that it is reached."""
    from scripts.fidelity_check import differences as module

    goals = module.goals
    monkeypatch.setattr(module, "goals", lambda *arguments: [(g := goals(*arguments))[0], g[2], g[2]])
    step = module.Stock.step
    monkeypatch.setattr(module.Stock, "step", lambda *arguments: (*step(*arguments)[:2], True))
    found = module.differences("metaworld", "reach-v3", "random", 8, 0)
    assert found.reset.first_step == 4
    assert found.reset.value > 0.01
    assert found.obs.first_step == 5
    assert found.reward.first_step == 5
    assert (found.num_successes, found.first_success) == (8, 1)
    assert not found.is_zero


def test_what_is_not_a_number_is_infinitely_far() -> None:
    largest = Largest()
    largest.see(3, math.nan)
    largest.see(4, 1.0)
    assert str(largest) == "inf @ 3"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--steps", "1"], "--steps needs to be at least 2, got 1"),
        (["--episodes", "51"], "--episodes needs to be 0 to 50, the goals of a task, got 51"),
        (["--tasks", "reach-v4"], "--tasks: unknown task 'reach-v4'; the closest is 'reach-v3'"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str) -> None:
    done = script("check_fidelity", *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(line)
