"""What holds for all tests."""

import signal

import pytest

# Ctrl-C means the same in tests that a shell started in the background, where it would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = ("tests/test_end_to_end.py", "tests/test_wheel.py")
"""Whose tests take as long as a hundred others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first: at the end, one process would be waited for with nothing left to help it with."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
