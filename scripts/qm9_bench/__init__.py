"""Parts of `scripts/bench_qm9.py`."""
