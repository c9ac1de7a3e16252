"""What holds for all tests."""

import signal

# Ctrl-C means the same in tests that a shell started in the background, where it would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
