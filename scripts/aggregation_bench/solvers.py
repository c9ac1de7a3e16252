"""Who is measured: our methods, their peers in TorchJD, and Nash-MTL's published procedure."""

from collections.abc import Callable

from torch import Tensor

from mtrl.aggregation import METHODS, CoordinateMethod, GradientMethod, NashMTL, make
from mtrl.gradients import TaskGradients
from scripts.aggregation_bench.case import Case

Solver = Callable[[Case], Tensor]
"""Weights, `[..., T]`, or the update, `[..., P]`."""
Build = Callable[[], Solver]
OTHER_NAMES = {"LinearScalarization": "Mean", "RandomLossWeighting": "Random"}
"""Our class -> TorchJD's, where it is not the same."""
NO_GRAM_FORM = ("ExcessMTL", "NashMTL")
SAME = {
    "CAGrad": {"c": "c"},
    "ExcessMTL": {"robust_step_size": "step_size"},
    "FairGrad": {"alpha": "alpha"},
    "GradVac": {"beta": "beta"},
    "Krum": {"n_byzantine": "num_byzantine", "n_selected": "num_selected"},
    "SDMGrad": {"lambda_": "lam", "lr": "learning_rate", "momentum": "momentum", "n_iter": "num_steps"},
    "TrimmedMean": {"trim_number": "num_trimmed"},
}
"""TorchJD's hyper-parameter -> ours, where its default may be another or is none."""


def ours(name: str, device: str = "cpu") -> Build:
    """The method of that name with its default hyper-parameters; the few that read gradients do it on the clock."""

    def build() -> Solver:
        method = make(name).to(device)
        if isinstance(method, CoordinateMethod):
            return lambda case: method(case.gradients, case.losses)
        if isinstance(method, GradientMethod):
            return lambda case: method.direction(TaskGradients({"all": case.gradients}), case.losses)[0]["all"]
        return lambda case: method(case.gram, case.losses)

    return build


def by_cvxpy() -> Solver:
    """Nash-MTL as published."""
    method = NashMTL(solver="ccp")
    return lambda case: method(case.gram)


def torchjd_peer(name: str, tasks: int) -> Build | None:
    """TorchJD's solver of the same problem, with our hyper-parameters; None if it has none.

    Its classes are called as ours are, a solver on the Gram matrix with `Weighting` added.
    """
    import torchjd.aggregation as peers

    own = METHODS[name].__name__
    theirs = OTHER_NAMES.get(own, own)
    of_gram = None if theirs in NO_GRAM_FORM else getattr(peers, f"{theirs}Weighting", None)
    of_gradients = getattr(peers, theirs, None)

    def build() -> Solver:
        method = make(name)
        arguments = {key: getattr(method, value) for key, value in SAME.get(own, {}).items()}
        if theirs == "NashMTL":
            weighting = peers.NashMTL(n_tasks=tasks, max_norm=0.0).weighting  # 0: unclipped
            return lambda case: weighting(case.gradients)
        if of_gram is not None:
            weighting = of_gram(**arguments)
            return lambda case: weighting(case.gram)
        assert of_gradients is not None
        aggregator = of_gradients(**arguments)
        return lambda case: aggregator(case.gradients)

    return build if of_gram is not None or of_gradients is not None else None
