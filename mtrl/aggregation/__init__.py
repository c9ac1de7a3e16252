"""Gradient aggregation: a Gram matrix of task gradients in, one weight per task out.

    method = make("nash_mtl")
    weights = method(gram)          # [..., T, T] -> [..., T]; the update is sum_i w_i g_i

Three kinds: a `Method` reads the Gram matrix, a `LossMethod` the losses alone, a `Method` that is a `GradientMethod`
as well the gradients themselves (coordinate by coordinate: `CoordinateMethod`, by itself). A new method is a file
beside this one, a line in `METHODS`, and a row in the tests' claims table; one that stays outside is
`make("package.module:Class")`.
"""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from mtrl.aggregation.aligned_mtl import AlignedMTL
from mtrl.aggregation.cagrad import CAGrad
from mtrl.aggregation.con_fig import ConFIG
from mtrl.aggregation.db_mtl import DBMTL
from mtrl.aggregation.dual_proj import DualProj
from mtrl.aggregation.dynamic_weight_average import DynamicWeightAverage
from mtrl.aggregation.excess_mtl import ExcessMTL
from mtrl.aggregation.fair_grad import FairGrad
from mtrl.aggregation.famo import FAMO
from mtrl.aggregation.geometric_mean import GeometricMean
from mtrl.aggregation.grad_drop import GradDrop
from mtrl.aggregation.grad_norm import GradNorm
from mtrl.aggregation.grad_vac import GradVac
from mtrl.aggregation.gradient_method import CoordinateMethod, GradientMethod, Gradients
from mtrl.aggregation.imtl import IMTL
from mtrl.aggregation.imtl_g import IMTLG
from mtrl.aggregation.imtl_l import IMTLL
from mtrl.aggregation.krum import Krum
from mtrl.aggregation.mean import LinearScalarization
from mtrl.aggregation.method import LossMethod, Method, Solution
from mtrl.aggregation.mgda import MGDA
from mtrl.aggregation.moco import MoCo
from mtrl.aggregation.nash_mtl import NashMTL
from mtrl.aggregation.own_methods import GROUP, imported
from mtrl.aggregation.parameters import fits, parameters
from mtrl.aggregation.pcgrad import PCGrad
from mtrl.aggregation.random_loss_weighting import RandomLossWeighting
from mtrl.aggregation.scale_invariant import ScaleInvariant
from mtrl.aggregation.sdm_grad import SDMGrad
from mtrl.aggregation.stch import STCH
from mtrl.aggregation.trimmed_mean import TrimmedMean
from mtrl.aggregation.uncertainty_weighting import UncertaintyWeighting
from mtrl.aggregation.upgrad import UPGrad
from mtrl.own_class import registered

__all__ = [
    "DBMTL",
    "FAMO",
    "IMTL",
    "IMTLG",
    "IMTLL",
    "METHODS",
    "MGDA",
    "STCH",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "CoordinateMethod",
    "DualProj",
    "DynamicWeightAverage",
    "ExcessMTL",
    "FairGrad",
    "GeometricMean",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GradientMethod",
    "Gradients",
    "Krum",
    "LinearScalarization",
    "LossMethod",
    "Method",
    "MoCo",
    "NashMTL",
    "PCGrad",
    "RandomLossWeighting",
    "SDMGrad",
    "ScaleInvariant",
    "Solution",
    "TrimmedMean",
    "UPGrad",
    "UncertaintyWeighting",
    "find",
    "hyperparameters",
    "make",
]

METHODS: dict[str, type[Method] | type[CoordinateMethod]] = {
    "aligned_mtl": AlignedMTL,
    "cagrad": CAGrad,
    "con_fig": ConFIG,
    "db_mtl": DBMTL,
    "dual_proj": DualProj,
    "dynamic_weight_average": DynamicWeightAverage,
    "excess_mtl": ExcessMTL,
    "fair_grad": FairGrad,
    "famo": FAMO,
    "geometric_mean": GeometricMean,
    "grad_drop": GradDrop,
    "grad_norm": GradNorm,
    "grad_vac": GradVac,
    "imtl": IMTL,
    "imtl_g": IMTLG,
    "imtl_l": IMTLL,
    "krum": Krum,
    "mean": LinearScalarization,
    "mgda": MGDA,
    "moco": MoCo,
    "nash_mtl": NashMTL,
    "pcgrad": PCGrad,
    "random_loss_weighting": RandomLossWeighting,
    "scale_invariant": ScaleInvariant,
    "sdm_grad": SDMGrad,
    "stch": STCH,
    "trimmed_mean": TrimmedMean,
    "uncertainty_weighting": UncertaintyWeighting,
    "upgrad": UPGrad,
}
"""Name in a configuration -> class."""


def find(name: str) -> type[Method] | type[CoordinateMethod]:
    """The class of a method: one of `METHODS`, `package.module:Class`, or one that an installed package registers.

    Raises:
        TypeError: this is no name.
        ValueError: there is none, or it cannot be imported; one line.
    """
    if not isinstance(name, str):
        raise TypeError(f"a method's name needs to be a text such as 'nash_mtl', got {name!r}")
    if name in METHODS:
        return METHODS[name]
    if ":" in name:
        return imported(name, name)
    points = registered(GROUP)
    if name not in points:
        raise ValueError(f"unknown method {name!r}{_suggest(name, {*METHODS, *points})}")
    return imported(points[name].value, name)


def hyperparameters(name: str) -> Mapping[str, inspect.Parameter]:
    """Constructor arguments of a method by name: annotation and default.

    Raises:
        ValueError: as for `find`.
    """
    return parameters(find(name))


def make(name: str, **arguments: Any) -> Method | CoordinateMethod:
    """A method by its name and hyper-parameters.

    Args:
        name: one of `METHODS`, `package.module:Class`, or what an installed package registers under `mtrl.methods`.
        arguments: of its constructor.

    Raises:
        ValueError: unknown method or hyper-parameter, or a value that the method refuses; one line.

    Examples:
        >>> make("cagrad", c=0.4).c
        0.4
        >>> make("cagrad", d=0.4)
        Traceback (most recent call last):
        ValueError: cagrad has no hyper-parameter 'd'; known: c, rescale
    """
    kind = find(name)
    known = parameters(kind)
    for key, value in arguments.items():
        if key not in known:
            raise ValueError(f"{name} has no hyper-parameter {key!r}{_suggest(key, known)}")
        if not fits(value, known[key].annotation):
            raise ValueError(f"{name} needs {key} of {inspect.formatannotation(known[key].annotation)}, got {value!r}")
    for key, parameter in known.items():
        if parameter.default is parameter.empty and key not in arguments:
            raise ValueError(f"{name} needs a hyper-parameter {key}, which has no default")
    return kind(**arguments)


def _suggest(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'a'? known: a, b` or `; known: a, b`."""
    names = sorted(known)
    own = [name for name, kind in METHODS.items() if kind.__name__ == word and name in names]
    close = own or difflib.get_close_matches(word, names, n=1)
    hint = f": did you mean {close[0]!r}?" if close else ";"
    return f"{hint} known: {', '.join(names) or 'none'}"
