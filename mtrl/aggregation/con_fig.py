"""ConFIG: the update at the same angle to all gradients."""

from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import dot, lengths, library, multiply, unit_diagonal
from mtrl.aggregation.solvers.pseudo_inverse import pseudo_solve
from mtrl.aggregation.solvers.solver_op import solver


class ConFIG(Method):
    """Conflict-free Inverse Gradients (Liu et al. 2025, "ConFIG: Towards Conflict-free Training of Physics Informed
    Neural Networks"), eq. 2: `d = (sum_i <g_i, v>) v` with `v` the unit vector along `U^+ 1`.

    `U` holds the unit gradients in its rows, and `U^+ 1 = U^T C^+ 1` with `C` their cosines. If some update has the
    same positive cosine with every gradient this is it; otherwise (at a Pareto-stationary point, or with many more
    tasks than parameters) the pseudo-inverse makes the cosines as equal as they can be, in the sense of least squares.
    If that is zero, so are the weights.

    Convention: the sum, projected on the direction. A task with a zero gradient takes no part and has weight 0.
    `torch.linalg.eigh` synchronises on CUDA.
    """

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        return conflict_free_weights(gram, eps)


@solver
def conflict_free_weights(gram: Tensor, eps: float) -> Tensor:
    """Weights of ConFIG, `[..., T]`; arguments of `Method.weigh`."""
    xp = library(gram)
    norms, live = lengths(gram)
    C = unit_diagonal(gram, norms)
    one = xp.ones_like(norms) * live
    x = pseudo_solve(C, one, eps)
    gains = multiply(C, x)  # 1 each where that is possible
    rounding = 4 * gram.shape[-1] * eps * xp.sqrt(one.sum(-1))[..., None]
    sound = xp.sqrt(dot(gains, gains)) > rounding
    length = dot(gains * norms, one) / xp.where(sound, dot(x, gains), 1.0)
    return xp.where(sound & live, length * x / norms, 0.0)
