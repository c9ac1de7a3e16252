"""Text files read back, those that people write and those that runs write: bounded, and checked line by line."""
