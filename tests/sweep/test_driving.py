"""What the driver makes of each way in which an attempt can end; a scripted engine says how."""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mtrl.sweep import Ended, How, Order, Result, Trial, drive, reach
from tests.sweep.small_sweeps import trials_of, write_sweep

FINISHED, DIED = Ended(How.FINISHED), Ended(How.DIED, "its process was killed by signal 9")


class Scripted:
    """Ends one order at a time, as the script of its trial says."""

    def __init__(self, script: dict[str, Iterator[Ended]], at_once: int = 2) -> None:
        self.script, self.at_once = script, at_once
        self.orders: list[Order] = []
        self.begun: list[str] = []
        self.stopped = 0

    def describe(self) -> str:
        return "a script"

    def room(self) -> int:
        return self.at_once - len(self.orders)

    def submit(self, order: Order) -> None:
        assert self.room() > 0
        assert order.trial.key not in [other.trial.key for other in self.orders]
        self.orders.append(order)
        self.begun.append(order.trial.key)

    def wait(self, timeout_s: float) -> list[tuple[Order, Ended]]:
        if not self.orders:
            return []
        order = self.orders.pop(0)
        return [(order, next(self.script.get(order.trial.key, iter([FINISHED]))))]

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        pass


class Heard:
    def __init__(self) -> None:
        self.said: list[tuple[str, How, bool]] = []

    def begun(self, trial: Trial) -> None:
        pass

    def ended(self, trial: Trial, ended: Ended, again: bool) -> None:
        self.said.append((trial.key, ended.how, again))

    def note(self, text: str) -> None:
        pass

    def look(self) -> None:
        pass


@pytest.fixture
def found(tmp_path: Path) -> list[Trial]:
    """Keys `mean/seed_0`, `pcgrad/seed_0`, `mean/seed_1`, `pcgrad/seed_1`."""
    return trials_of(write_sweep(tmp_path), tmp_path / "runs")


def driven(found: list[Trial], engine: Scripted, stop: Sequence[int] = (), retries: int = 3) -> tuple[Result, Heard]:
    heard, root = Heard(), found[0].config.folder.parent
    orders = [Order(trial, "all", cpus=1, root=root, mark="m") for trial in found]
    return drive(orders, engine, stop, heard, retries), heard


def keys(result: Result) -> list[tuple[str, str]]:
    return [(trial.key, line) for trial, line in result.failed]


def test_all_are_carried_out_in_order(found: list[Trial]) -> None:
    engine = Scripted({})
    result, _ = driven(found, engine)
    assert (result.finished, result.failed, result.waiting, result.halted) == (4, [], 0, "")
    assert engine.begun == [trial.key for trial in found]


def test_a_killed_one_goes_on_before_others_and_at_most_so_often(found: list[Trial]) -> None:
    script = {"mean/seed_0": iter([DIED, DIED, FINISHED]), "pcgrad/seed_0": iter([DIED] * 9)}
    engine = Scripted(script, at_once=1)
    result, heard = driven(found, engine, retries=2)
    assert engine.begun == ["mean/seed_0"] * 3 + ["pcgrad/seed_0"] * 3 + ["mean/seed_1", "pcgrad/seed_1"]
    assert result.finished == 3
    assert keys(result) == [("pcgrad/seed_0", "its process was killed by signal 9, 3 times")]
    assert heard.said[:3] == [
        ("mean/seed_0", How.DIED, True),
        ("mean/seed_0", How.DIED, True),
        ("mean/seed_0", How.FINISHED, False),
    ]
    assert reach.failure(found[1]) == "its process was killed by signal 9, 3 times"
    assert reach.failure(found[0]) is None


def test_one_that_is_interrupted_too_often_says_so(found: list[Trial]) -> None:
    engine = Scripted({"mean/seed_0": iter([Ended(How.INTERRUPTED)] * 9)})
    result, _ = driven(found, engine, retries=1)
    assert keys(result) == [("mean/seed_0", "interrupted, 2 times")]


def test_one_that_fails_by_itself_is_not_tried_again_and_the_others_go_on(found: list[Trial]) -> None:
    engine = Scripted({"pcgrad/seed_0": iter([Ended(How.FAILED, "the loss is not finite")])})
    result, _ = driven(found, engine)
    assert sorted(engine.begun) == sorted(trial.key for trial in found)
    assert result.finished == 3
    assert keys(result) == [("pcgrad/seed_0", "the loss is not finite")]
    assert reach.failure(found[1]) == "the loss is not finite"
    reach.forget_failure(found[1])
    assert reach.failure(found[1]) is None


def test_once_the_disk_is_full_none_is_begun(found: list[Trial]) -> None:
    engine = Scripted({"mean/seed_0": iter([Ended(How.HALTED, "No space left on device")])})
    result, heard = driven(found, engine)
    assert engine.begun == ["mean/seed_0", "pcgrad/seed_0"]  # both were running; the second goes on
    assert heard.said == [("mean/seed_0", How.HALTED, False), ("pcgrad/seed_0", How.FINISHED, False)]
    assert (result.finished, result.failed, result.waiting) == (1, [], 3)
    assert result.halted == "No space left on device"
    assert reach.failure(found[0]) is None


def test_a_disk_that_is_away_as_one_finishes_ends_nothing(found: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(trial: Trial) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(reach, "forget_failure", away)
    result, _ = driven(found, Scripted({}))
    assert (result.finished, result.failed) == (4, [])


def test_a_busy_folder_is_tried_again_later(found: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtrl.sweep.driving._BUSY_S", 0.01)
    engine = Scripted({"mean/seed_0": iter([Ended(How.BUSY, "a process trains there"), FINISHED])}, at_once=1)
    result, _ = driven(found, engine)
    assert result.finished == 4
    assert engine.begun.count("mean/seed_0") == 2
    assert engine.begun[1] == "pcgrad/seed_0"


def test_asked_to_stop_none_is_begun_and_what_runs_may_end(found: list[Trial]) -> None:
    stop: list[int] = []

    def stopping() -> Iterator[Ended]:
        stop.append(15)
        yield Ended(How.INTERRUPTED)

    engine = Scripted({"mean/seed_0": stopping(), "pcgrad/seed_0": iter([DIED])})
    result, heard = driven(found, engine, stop)
    assert engine.stopped == 1
    assert {how for _, how, _ in heard.said} == {How.INTERRUPTED}  # one killed as it began has not failed
    assert engine.begun == ["mean/seed_0", "pcgrad/seed_0"]
    assert (result.finished, result.failed, result.waiting) == (0, [], 4)
