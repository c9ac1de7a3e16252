"""A trial of a sweep, carried out in this process: trained and evaluated, or gone on with, as its folders say."""

import contextlib
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from mtrl import envs, supervised
from mtrl.agents.config import Config
from mtrl.agents.groups import train_and_evaluate
from mtrl.agents.ranks import RankError
from mtrl.agents.run_precision import settle_precision
from mtrl.cli.failures import reason, trace_of
from mtrl.cli.rank_processes import started
from mtrl.cli.tracking import Tracker
from mtrl.runs import devices
from mtrl.runs.claim import SupersededError, attempts, claimed
from mtrl.runs.errors import AWAY, FULL, UserError, disk_errors
from mtrl.runs.events import Event, Listener
from mtrl.runs.lock import BusyError, is_locked, this_process
from mtrl.runs.policy_only import keep_policy
from mtrl.supervised import SupervisedRunConfig
from mtrl.sweep import Ended, How, Order

LOG = "log.txt"
"""In a run folder: notes and warnings of its trial, which has no screen."""
MARK = "driver"
"""In a sweep's folder: what `Order.mark` is."""

_SEEN_S = 60.0  # so long a machine may take to see what another one has written: NFS keeps what it knows of a folder
_LOCK_S = 60.0  # so long another process may take to end, once this one has claimed the folder
_IN_FLIGHT_S = 5.0  # so long what it writes may take, where the disk keeps no locks
_MEMORY = ("memory does not suffice",)


def carry_out(order: Order) -> Ended:
    """Trains and evaluates what of a trial is still to be done. See `mtrl.sweep.Work`."""
    try:
        with disk_errors(order.root), ExitStack() as stack:
            _check_shared(order)
            folders = order.trial.folders.values()
            came_before = any(attempts(folder) for folder in folders)
            for folder in folders:
                stack.enter_context(claimed(folder))
            log = stack.enter_context(_Log(next(iter(folders)) / LOG))
            for folder in folders:
                _wait_until_free(folder, came_before)
            log.note(f"attempt {attempts(next(iter(folders)))}, process {this_process()}")
            if not _trained(order, log):
                return Ended(How.INTERRUPTED)
            if order.keep == "policy":
                for folder in folders:
                    keep_policy(folder / "checkpoints")
        return Ended(How.FINISHED)
    except KeyboardInterrupt:
        return Ended(How.INTERRUPTED)
    except (BusyError, SupersededError) as error:
        return Ended(How.BUSY, str(error))
    except _UnseenError as error:
        return Ended(How.HALTED, str(error))
    except Exception as error:
        return _failure(error)


class _UnseenError(Exception):
    """This machine does not see the sweep's folder, or another driver is there."""


def _check_shared(order: Order) -> None:
    limit = time.monotonic() + _SEEN_S
    while (mark := _mark(order.root)) != order.mark:
        if time.monotonic() >= limit:
            where = "--out must be on a disk that all machines share, under the same path"
            if not mark:
                raise _UnseenError(f"{socket.gethostname()} does not see the sweep's folder {order.root}: {where}")
            other = f"another driver's mark in {order.root} ({mark}): one at a time carries a sweep out"
            raise _UnseenError(f"{socket.gethostname()} sees {other}, and {where}")
        time.sleep(0.1)


def _mark(root: Path) -> str:
    with contextlib.suppress(OSError):
        return (root / MARK).read_text()
    return ""


def _wait_until_free(folder: Path, came_before: bool) -> None:
    """Waits for an attempt that was cut off: it ends at its next write, because this one has claimed the folder."""
    limit = time.monotonic() + _LOCK_S
    while (held := is_locked(folder)) and time.monotonic() < limit:
        time.sleep(0.1)
    if held:
        raise BusyError(f"a process trains in {folder} and does not end")
    if held is None and came_before and (folder / "lock").exists():
        time.sleep(_IN_FLIGHT_S)


def _trained(order: Order, log: "_Log") -> bool:
    """Whether all is trained and evaluated; else it was interrupted."""
    devices.limit_compilers(order.cpus)
    config, folders = order.trial.config, order.trial.folders
    tracked = config.model_copy(update={"out": str(order.root)})  # a relative one is from another folder, maybe
    with ExitStack() as stack:
        trackers = {
            seed: stack.enter_context(Tracker(tracked, seed, folder, log.warn))
            for seed, folder in folders.items()
            if config.track
        }

        def tell(event: Event, seed: int | None) -> None:
            if event["kind"] == "note":
                log.note(event["text"])
            elif seed in trackers:
                trackers[seed].update(event)

        if isinstance(config, Config):
            # All trials of a sweep have one precision, or methods would not be compared alone.
            beside = {seed: order.root / f"seed_{seed}" for seed in folders}
            config, line = settle_precision(config, beside, devices.choose(config.device))
            if line:
                log.note(line)
            each = max(1, order.cpus // order.ranks)
            with started(config, folders, order.ranks, each) as ranks:
                return train_and_evaluate(config, folders, True, each, tell, ranks)
        assert isinstance(config, SupervisedRunConfig)
        return all(_trained_supervised(config, seed, folder, tell) for seed, folder in folders.items())


def _trained_supervised(config: SupervisedRunConfig, seed: int, folder: Path, tell: Listener) -> bool:
    result = supervised.train(config, seed, folder, resume=True, on_event=lambda event: tell(event, seed))
    if result.evaluation is not None:
        tell({"kind": "result", "record": result.evaluation}, seed)
    return not result.interrupted


def _failure(error: Exception) -> Ended:
    """What an exception says of the trial, and of others."""
    line = reason(error)
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return Ended(How.HALTED, line or str(error))
        if isinstance(cause, OSError) and cause.errno in AWAY:
            return Ended(How.DIED, line or str(error))
        if isinstance(cause, envs.SimulatorError | RankError) and not isinstance(cause, envs.TaskError):
            return Ended(How.DIED, str(error))
    trace = trace_of(error, line)
    if line is None:
        return Ended(How.FAILED, f"{type(error).__name__}: {error}"[:500], trace)
    if not isinstance(error, UserError) and any(words in line for words in _MEMORY):
        return Ended(How.DIED, line)
    return Ended(How.FAILED, line, trace)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it was made of."""
    while error is not None:
        yield error
        error = error.__cause__


class _Log:
    """Lines with the time, added to a file; warnings of this process go there, too, meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = warnings.showwarning

    def __enter__(self) -> "_Log":
        warnings.showwarning = lambda message, *_, **__: self.warn(message)
        return self

    def __exit__(self, *exception: object) -> None:
        warnings.showwarning = self._before

    def warn(self, message: Warning | str) -> None:
        """Note that it is a warning."""
        self.note(f"warning: {message}")

    def note(self, text: str) -> None:
        """Add a line, with the time, to the trial's log."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now().isoformat(timespec='seconds')} {text}\n")
