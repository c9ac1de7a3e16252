"""What ends a process when its parent ends, however that ends and whatever the process is doing.

A pipe of which the parent holds one end and the child the other, and which nobody writes to: when the parent is gone,
the system itself kills the child, also one that is stopped, that computes, or that gets no time on a busy machine.
Linux's PR_SET_PDEATHSIG would do as much, but goes by the thread that started the child, which may end long before.
"""

import fcntl
import os
import signal
import sys
import weakref
from typing import final


@final
class Lifeline:
    """The parent's end. Elsewhere than on Linux it does nothing: there a worker notices at its next command."""

    def __init__(self) -> None:
        child_end, parent_end = os.pipe()
        self.child_end = os.fdopen(child_end, "rb", buffering=0)
        """The child's end, which it has to inherit."""
        self._parent_end = os.fdopen(parent_end, "wb", buffering=0)
        _lifelines.add(self)

    def hold(self, pid: int) -> None:
        """Have the child, which has inherited its end, killed as soon as ours is closed."""
        if sys.platform == "linux":
            fcntl.fcntl(self.child_end, fcntl.F_SETOWN, pid)
            fcntl.fcntl(self.child_end, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.child_end, fcntl.F_SETFL, os.O_ASYNC)
        self.child_end.close()

    def let_go(self) -> None:
        """Close our end; doing so twice is fine."""
        self._parent_end.close()


_lifelines: weakref.WeakSet[Lifeline] = weakref.WeakSet()


def _forget_parents() -> None:
    for lifeline in _lifelines:
        lifeline.let_go()


os.register_at_fork(after_in_child=_forget_parents)  # a fork of the parent does not keep its workers alive
