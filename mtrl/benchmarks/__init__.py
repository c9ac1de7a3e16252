"""Data sets, networks and metrics of the papers' supervised problems; `mtrl.supervised` trains on them.

from mtrl.benchmarks import MultiMNIST, SupervisedConfig
from mtrl.supervised import train
"""

from mtrl.benchmarks.multimnist import MultiMNIST
from mtrl.benchmarks.qm9 import QM9
from mtrl.benchmarks.supervised_config import SupervisedConfig
from mtrl.benchmarks.toy import Toy
from mtrl.benchmarks.vision import CelebA, Cityscapes2, Cityscapes3, NYUv2

__all__ = ["QM9", "CelebA", "Cityscapes2", "Cityscapes3", "MultiMNIST", "NYUv2", "SupervisedConfig", "Toy"]
