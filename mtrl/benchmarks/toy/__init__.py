"""The two-objective toy problem of the papers."""

from mtrl.benchmarks.toy.descent import Descent, aggregated, descend
from mtrl.benchmarks.toy.problem import LEAST, STARTS, pareto_set, toy_gradients, toy_losses
from mtrl.benchmarks.toy.section import Toy

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
