"""Which call may come next."""

from enum import Enum


class Phase(Enum):
    """Where a vector environment stands; the value says what a call that does not fit here is missing."""

    NEW = "before reset(): call reset() first"
    READY = "without send(): call send() first"
    STEPPING = "while a step is under way: call recv() first"
    CLOSED = "after close(): make a new environment"

    def require(self, call: str, *allowed: "Phase") -> None:
        """Raise RuntimeError naming `call` and the remedy unless the phase is one of those `allowed`."""
        if self not in allowed:
            raise RuntimeError(f"{call} {self.value}")
