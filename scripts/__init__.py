"""Benchmarks, reproductions and checks, run from the project's folder: `python -m scripts.bench_envs`."""
