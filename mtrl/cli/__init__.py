"""The command `mtrl`."""
