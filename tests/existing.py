"""Values that are not there until something has been done, such as `.grad`."""

from typing import TypeVar

Value = TypeVar("Value")


def existing(value: Value | None) -> Value:
    """The value, which by then is there."""
    assert value is not None
    return value
