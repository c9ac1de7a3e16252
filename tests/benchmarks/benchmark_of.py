"""The benchmark of a run."""

from mtrl.benchmarks import SupervisedConfig, Toy
from mtrl.supervised.benchmark import Benchmark


def benchmark_of(config: SupervisedConfig) -> Benchmark:
    """Its data, model, losses and metrics; not the toy, which has none of them."""
    assert not isinstance(config.benchmark, Toy)
    return config.benchmark
