"""MultiMNIST: which digit is top left, which bottom right?"""

from mtrl.benchmarks.multimnist.section import MultiMNIST

__all__ = ["MultiMNIST"]
