"""A run on disk and what keeps it whole: configuration, metrics, checkpoints, signals, the one-line error."""
