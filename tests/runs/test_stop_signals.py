"""The first signal asks to stop, a second Ctrl-C does not wait for that."""

import signal

import pytest

from mtrl.runs.stop_signals import is_asked_to_stop, stop_signals


def test_a_second_ctrl_c_interrupts_and_a_second_sigterm_does_not() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals() as received:
        assert not is_asked_to_stop()
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM] * 2
        assert is_asked_to_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert not is_asked_to_stop()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
