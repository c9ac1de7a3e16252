"""How wrong an answer is."""

from dataclasses import dataclass

from torch import Tensor

from mtrl.aggregation import Method, hyperparameters, make
from scripts.aggregation_bench.case import Case
from scripts.aggregation_bench.solvers import ours

EQUAL_PROJECTIONS = ("ConFIG", "IMTLG")
OTHER_LENGTH = ("SDMGrad",)
"""TorchJD's convention is another: directions are compared."""
OTHER_START = ("ExcessMTL",)
"""TorchJD's first call does not divide by the first risk, like the authors' code: nothing is compared."""


@dataclass(frozen=True)
class Answer:
    """What a solver gave: weights, or only the update."""

    weights: Tensor | None
    """`[..., T]`"""
    update: Tensor
    """`[..., P]`"""


def error_of(name: str, is_ours: bool, case: Case, answer: Answer) -> float | None:
    """How wrong an answer is, by the same rule for everybody; None where nothing tells.

    The method's residual (its optimality condition) if it has one; for the methods that claim equal projections on the
    unit gradients, the spread of these over their mean; for other closed forms the peer's distance from our update,
    relative; nothing for methods with random numbers.
    """
    method = make(name)
    if not answer.update.isfinite().all():
        return float("inf")
    if type(method).__name__ in EQUAL_PROJECTIONS:
        inner = case.gradients @ answer.update / case.gradients.norm(dim=-1)
        return float((inner.amax() - inner.amin()) / inner.mean().abs())
    if "seed" in hyperparameters(name) or type(method).__name__ in OTHER_START:
        return None
    if isinstance(method, Method) and type(method).residual is not Method.residual:
        return None if answer.weights is None else abs(float(method.residual(case.gram, case.losses, answer.weights)))
    if is_ours:
        return None
    exact, update = as_answer(ours(name)()(case), case).update, answer.update
    if type(method).__name__ in OTHER_LENGTH:
        update = update * exact.norm() / update.norm()
    return float((update - exact).norm() / exact.norm())


def as_answer(result: Tensor, case: Case) -> Answer:
    """Weights have one entry per task, an update four per task."""
    if result.shape[-1] == case.gram.shape[-1]:
        return Answer(result, (result.unsqueeze(-2) @ case.gradients).squeeze(-2))
    return Answer(None, result)
