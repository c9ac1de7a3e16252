"""The two-objective toy problem of the papers."""

from mtrl.supervised.toy.descent import Descent, aggregated, descend
from mtrl.supervised.toy.problem import LEAST, STARTS, pareto_set, toy_gradients, toy_losses
from mtrl.supervised.toy.section import Toy

__all__ = [
    "LEAST",
    "STARTS",
    "Descent",
    "Toy",
    "aggregated",
    "descend",
    "pareto_set",
    "toy_gradients",
    "toy_losses",
]
