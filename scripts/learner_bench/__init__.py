"""Parts of `scripts/bench_learner.py`."""
