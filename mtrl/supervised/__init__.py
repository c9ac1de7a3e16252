"""Supervised multi-task problems on the same core: a benchmark is data, model, losses and metrics; the frame trains it.

from mtrl.supervised import MultiMNIST, SupervisedConfig, train
"""

from mtrl.supervised.benchmark import Batch, Benchmark, Data, Meter, Metric, MultiTaskModel, Split
from mtrl.supervised.config import SupervisedConfig
from mtrl.supervised.multimnist import MultiMNIST
from mtrl.supervised.run import TrainResult, train
from mtrl.supervised.toy import Toy

__all__ = [
    "Batch",
    "Benchmark",
    "Data",
    "Meter",
    "Metric",
    "MultiMNIST",
    "MultiTaskModel",
    "Split",
    "SupervisedConfig",
    "Toy",
    "TrainResult",
    "train",
]
