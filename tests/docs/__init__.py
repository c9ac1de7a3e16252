"""The README and the pages of docs/: what they show works as it stands there."""
