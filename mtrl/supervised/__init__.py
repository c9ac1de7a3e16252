"""Supervised multi-task learning on the same core: a benchmark is data, model, losses, metrics; the frame trains it.

The benchmarks that are there are in `mtrl.benchmarks`.
"""

from mtrl.supervised.benchmark import Batch, Benchmark, Data, Meter, Metric, MultiTaskModel, Split
from mtrl.supervised.benchmark_job import BenchmarkJob
from mtrl.supervised.run import TrainResult, train
from mtrl.supervised.run_config import SupervisedRunConfig

__all__ = [
    "Batch",
    "Benchmark",
    "BenchmarkJob",
    "Data",
    "Meter",
    "Metric",
    "MultiTaskModel",
    "Split",
    "SupervisedRunConfig",
    "TrainResult",
    "train",
]
