"""IMTL-G: the update whose projections on all gradients are equal."""

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import lengths, library, unit_diagonal
from mtrl.aggregation.solvers.pseudo_inverse import pseudo_solve
from mtrl.aggregation.solvers.solver_op import solver


class IMTLG(Method):
    """The gradient half of Impartial Multi-Task Learning (Liu et al. 2021, "Towards Impartial Multi-task Learning"):
    `<u_i, d>` is the same for every unit gradient `u_i`, and `sum_i w_i = 1`.

    The paper's closed form inverts a matrix that is singular where gradients depend on each other. Here
    `x_i = w_i |g_i|` is, up to a factor, the shortest minimiser of `|sum_i x_i u_i|` over `sum_i x_i = 1`: the same
    update where the paper's exists, and one with equal projections in any case. If only zero has those (at a
    Pareto-stationary point, or with many more tasks than parameters) the update is zero.

    Convention: the weights sum to one, as in the paper. They may be negative, and if those of small gradients are, the
    sum that one divides by may be as well: the update then goes against every task. Where the sum vanishes up to
    rounding, all weights are zero. A task with a zero gradient has no direction, takes no part and has weight 0.
    Published code multiplies the losses of the heads by the weights, too; here heads take the plain gradients.
    `torch.linalg.eigh` synchronises on CUDA.
    """

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return impartial_weights(gram, eps)


@solver
def impartial_weights(gram: Tensor, eps: float) -> Tensor:
    """Weights of IMTL-G, `[..., T]`; arguments of `Method.weigh`."""
    xp = library(gram)
    norms, live = lengths(gram)
    one = xp.ones_like(norms) * live
    # C + 1 1^T: its solution for 1 is the minimiser's multiple, and its null space is where x makes no difference.
    x = pseudo_solve(unit_diagonal(gram, norms) + one[..., None] * one[..., None, :], one, eps)
    shortest = xp.amin(xp.where(live, norms, xp.inf), -1)[..., None]
    w = one * x * (xp.where(live, shortest, 1.0) / norms)  # of order one, whatever the units
    total = w.sum(-1)[..., None]
    sound = abs(total) > 4 * gram.shape[-1] * eps * abs(w).sum(-1)[..., None]
    return xp.where(sound, w / xp.where(sound, total, 1.0), 0.0)
