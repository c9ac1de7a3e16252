"""Multi-task learning with gradient aggregation: `backward` in a training loop, the methods in `mtrl.aggregation`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrl.gradients import backward

__version__ = "0.2.0"
__all__ = ["__version__", "backward"]


def __getattr__(name: str) -> Any:
    # On demand: the command line answers `--help` without loading torch.
    if name == "backward":
        from mtrl.gradients import backward

        return backward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
