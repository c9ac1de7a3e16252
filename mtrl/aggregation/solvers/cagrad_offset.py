"""What CAGrad adds to the mean gradient: from a guessed support on the host, by a cone program elsewhere."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtrl.aggregation.solvers.cagrad_program import program
from mtrl.aggregation.solvers.cagrad_support import CERTAIN, pivot
from mtrl.aggregation.solvers.linear_algebra import EPS, definite, identity, lengths, library, unit_diagonal
from mtrl.aggregation.solvers.solver_op import note, solver

GUESSES = 10
"""One to five supports are tried on easy matrices; a few hard ones would take thirty."""


class Scaled(NamedTuple):
    """CAGrad's problem in unit gradients `u_i`, with `|g_0| = 1`; see `cagrad_program.program`."""

    C: Tensor
    """Cosines, `[..., T, T]`; 1 on the diagonal for a zero gradient."""
    f: Tensor
    """`<u_i, g_0>`, `[..., T]`; 1 for a zero gradient."""
    b: Tensor
    """The shortest gradient's norm over the others', `[..., T]`; 0 for a zero gradient."""
    mean_norm: Tensor
    """`|g_0|`, `[..., 1]`."""
    norms: Tensor
    """`[..., T]`"""


def scaled(gram: Tensor, eps: float) -> Scaled:
    """CAGrad's problem in unit gradients, of the matrix `definite(gram, eps)`, `[..., T, T]`."""
    xp = library(gram)
    gram = definite(gram, eps)
    norms, live = lengths(gram)
    C = unit_diagonal(gram, norms) + xp.where(live, 0.0, 1.0)[..., None] * identity(norms)
    means = gram.mean(-1)
    mean_norm = xp.sqrt(abs(means.mean(-1)))[..., None]
    f = xp.where(live, means / norms / xp.where(mean_norm > 0, mean_norm, 1.0), 1.0)
    shortest = xp.amin(xp.where(live, norms, xp.inf), -1)[..., None]
    return Scaled(C, f, xp.where(live, shortest / norms, 0.0), mean_norm, norms)


@solver
def cagrad_offset(gram: Tensor, c: float, eps: float = EPS, worst: Tensor | None = None) -> Tensor:
    """Maximise `min_i <g_i, d>` over `|d - g_0| <= c |g_0|`, `g_0` the mean, the zero gradients left out.

    Args:
        gram: `[..., T, T]`, float64.
        c: radius of the ball, 0 < c < 1.
        eps: relative rounding of the entries of `gram`; the problem is solved for `definite(gram, eps)`.
        worst: raised to the largest duality gap.

    Returns:
        `o`, `[..., T]`: `d = g_0 + sum_i o_i g_i`; 0 for a zero gradient.
    """
    xp = library(gram)
    C, f, b, mean_norm, norms = scaled(gram, eps)
    v, gap = program(C, f, b, c) if isinstance(gram, Tensor) else _guessed(C, f, b, c)
    note(worst, xp.where(mean_norm > 0, gap, 0.0))
    return xp.where((b > 0) & (mean_norm > 0), mean_norm * v / norms, 0.0)


def _guessed(C: Any, f: Any, b: Any, c: float) -> Any:
    """`v` and its gap on the host: guesses that are right, and the program for the rest; see `program`."""
    v: Any
    gap: Any
    v, gap = pivot(C, f, b, c, b > 0, GUESSES, b)
    left = ~(gap <= CERTAIN)[..., 0]  # [B], of the arrays' one leading axis
    if left.any():
        C, f, b = (torch.from_numpy(x[left]) for x in (C, f, b))
        v[left], gap[left] = (x.numpy() for x in program(C, f, b, c))
    return v, gap
