"""Who is told what the groups of seeds do: the screen, the trackers, and the command, of what failed."""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from mtrl.agents.config import Config
from mtrl.agents.groups import Seeds
from mtrl.cli.progress import Progress
from mtrl.cli.promise import Promise
from mtrl.cli.streams import tell
from mtrl.cli.tracking import Tracker
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event


class End(NamedTuple):
    """How a group ended."""

    finished: bool
    """Else it was interrupted, or it failed."""
    failure: str = ""
    """One line."""
    trace: str = ""
    """Of a defect of ours."""


class Audience:
    """A context manager: it ends what is tracked. Where tracking is not possible, it is not entered.

    Args:
        config: of the run.
        folders: by seed.
        progress: the screen.
    """

    def __init__(self, config: Config, folders: Mapping[int, Path], progress: Progress) -> None:
        self.failures: list[str] = []
        """A line each."""
        self.interrupted = False
        """Some group was."""
        self._config, self._folders, self._progress = config, folders, progress
        self._promise = Promise(config.expected_minutes, config.steps)
        self._trackers: dict[int, Tracker] = {}
        self._stacks: dict[Seeds, ExitStack] = {}

    def __enter__(self) -> Self:
        for seed in self._config.seeds if self._config.track else ():  # before time is spent on any
            self._trackers[seed] = Tracker(self._config, seed, self._folders[seed], self._warn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stack in self._stacks.values():
            stack.__exit__(kind, error, trace)

    def begin(self, seeds: Seeds) -> None:
        """Show that a group of seeds begins, and track its seeds if that was asked for."""
        stack = self._stacks[seeds] = ExitStack()
        for seed in seeds if self._config.track else ():
            stack.enter_context(self._trackers[seed])
        self._progress.begin(self._label(seeds))

    def tell(self, seeds: Seeds, event: Event, seed: int | None) -> None:
        """An event of a group; of one of its seeds, or of all where that is None.

        Raises:
            UserError: its tracked run cannot begin.
        """
        if seed in self._trackers:
            self._trackers[seed].update(event)
        if event["kind"] == "result":
            return
        self._progress.update(event, self._label(seeds if seed is None else (seed,)), self._label(seeds))
        if line := self._promise.broken(event, len(seeds)):
            self.note(line)

    def note(self, text: str) -> None:
        """Something to know, of the whole run."""
        self._progress.update({"kind": "note", "text": text})

    def ended(self, seeds: Seeds, end: End) -> None:
        """A group has ended; the last that is told of it."""
        stack = self._stacks.pop(seeds)
        self._progress.end(self._label(seeds))
        if not end.failure:
            self.interrupted |= not end.finished
            stack.close()
            return
        line = f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}: {end.failure}"
        self.failures.append(line)
        self._progress.update({"kind": "note", "text": f"failed: {end.failure}"}, self._label(seeds))
        if end.trace:
            tell(end.trace, sys.stderr)
        error = UserError(line)
        stack.__exit__(UserError, error, None)

    def _warn(self, line: str) -> None:
        self.note(f"warning: {line}")

    def _label(self, seeds: Seeds) -> str:
        return label(self._config, seeds)


def label(config: Config, seeds: Seeds) -> str:
    """What the lines on the screen begin with."""
    return f"{config.name}/seed_{seeds[0]}" if len(seeds) == 1 else f"{config.name}/seeds {' '.join(map(str, seeds))}"
