"""MGDA: the point of least norm in the convex hull of the task gradients."""

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers import interior_point
from mtrl.aggregation.solvers.linear_algebra import EPS, lengths
from mtrl.aggregation.solvers.min_norm import FRANK_WOLFE_ITERATIONS, frank_wolfe, min_norm_gap, min_norm_point

Normalization = Literal["none", "l2", "loss", "loss+"]
Solver = Literal["exact", "frank_wolfe"]


class MGDA(Method):
    """Multiple-Gradient Descent Algorithm (Désidéri 2012; Sener and Koltun 2018, eq. 3).

    Minimises `|sum_i w_i g_i|` over `w >= 0`, `sum_i w_i = 1`. The update `d` has `<g_i, d> >= |d|^2` for
    every task, and is zero exactly at the Pareto-stationary points; so it is zero as soon as one task's
    gradient is.

    Convention: the weights sum to one. With a normalization the least norm is sought among the normalized
    gradients `g_i / n_i` and, as in Sener and Koltun's code, the weights found multiply the gradients as they
    are: the update may then conflict with a task. Paper: their code multiplies the losses of the heads by the weights,
    too; here heads take the plain gradients.

    `solve(...).residual` is `max_i (|d|^2 - <g_i, d>) / (|g_i| |d|)` of the normalized gradients, zero at the optimum.
    Below 1e-9 but for rounding: `T eps k^2` where gradients much longer than the update cancel in it, `k` the lengths
    of its summands over its own.

    Args:
        normalization: `n_i`: `none` 1, `l2` the gradient's norm, `loss` the loss, `loss+` their product.
            Losses are read by their absolute value: a negative one would turn the gradient round.
        solver: `exact`, or `frank_wolfe` as in the paper (stops some per cent short).

    Examples:
        >>> import torch
        >>> MGDA()(torch.diag(torch.tensor([1.0, 3.0])))
        tensor([0.7500, 0.2500])
    """

    def __init__(self, normalization: Normalization = "none", solver: Solver = "exact") -> None:
        super().__init__()
        if normalization not in get_args(Normalization):
            known = list(get_args(Normalization))
            raise ValueError(f"MGDA needs a normalization of {known}, got normalization={normalization!r}")
        if solver not in get_args(Solver):
            raise ValueError(f"MGDA needs a solver of {list(get_args(Solver))}, got solver={solver!r}")
        self.normalization = normalization
        self.solver = solver
        self.needs_losses = normalization in ("loss", "loss+")
        self.iterations = interior_point.ITERATIONS if solver == "exact" else FRANK_WOLFE_ITERATIONS

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        normalizers = self._normalizers(gram, losses)
        if self.solver == "exact":
            return min_norm_point(gram, normalizers, eps, self.noted(gram))
        return frank_wolfe(gram / (normalizers.unsqueeze(-1) * normalizers.unsqueeze(-2)))

    def residual(self, gram: Tensor, losses: Tensor | None, weights: Tensor, eps: float = EPS) -> Tensor:
        return min_norm_gap(gram, self._normalizers(gram, losses), weights, eps)

    def _normalizers(self, gram: Tensor, losses: Tensor | None) -> Tensor:
        if self.normalization == "none":
            return torch.ones_like(gram[..., 0])
        norms, _ = lengths(gram)
        if self.normalization == "l2":
            return norms
        losses = self.given(losses)
        return losses.abs() if self.normalization == "loss" else losses.abs() * norms
