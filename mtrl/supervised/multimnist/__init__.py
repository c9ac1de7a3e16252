"""MultiMNIST: which digit is top left, which bottom right?"""

from mtrl.supervised.multimnist.section import MultiMNIST

__all__ = ["MultiMNIST"]
