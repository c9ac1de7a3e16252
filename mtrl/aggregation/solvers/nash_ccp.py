"""Nash-MTL's published procedure: convex-concave programming through cvxpy. For comparison only."""

import numpy as np
import torch
from torch import Tensor

from mtrl.extras import install

ROUNDS = 20
"""Of linearisation, at most; as in the paper's code."""


def nash_ccp(gram: Tensor) -> Tensor:
    """Solve `G a = 1/a` as the paper does (Navon et al. 2022, section 3.2).

    Minimises `sum_i log(a_i) + log((G a)_i)` linearised at the last iterate, plus the convex `sum_i (G a)_i`,
    subject to `log(a_i) + log((G a)_i) >= 0`, until the iterate rests.

    Args:
        gram: `[T, T]`, float64, one matrix, on any device.

    Returns:
        Weights, `[T]`.

    Raises:
        ValueError: cvxpy is missing, or `gram` has batch axes.
        ArithmeticError: the convex program was not solved.
    """
    try:
        import cvxpy as cp
    except ImportError:
        raise ValueError(f"NashMTL(solver='ccp') needs cvxpy: {install('reference')}") from None
    if gram.ndim != 2:
        raise ValueError(f"NashMTL(solver='ccp') takes one matrix [T, T], got {list(gram.shape)}")
    matrix = gram.cpu().numpy()
    # Paper: divides by the Frobenius norm, which leaves small tasks below the solver's tolerance; here by the
    # diagonal, in the same procedure, and tasks without a gradient are left out.
    live = matrix.diagonal() > 0
    norms = np.sqrt(matrix.diagonal()[live])
    cosines = matrix[np.ix_(live, live)] / np.outer(norms, norms)
    a = np.full(len(norms), 1.0)
    a /= np.sqrt((a @ cosines @ a) / len(a))
    a *= max(1.0, float((1 / (a * (cosines @ a)).min()) ** 0.5)) if (cosines @ a).min() > 0 else 1.0
    for _ in range(ROUNDS):
        gains = cosines @ a
        variable = cp.Variable(len(a), nonneg=True)
        linear = (1 / a + (1 / gains) @ cosines) @ (variable - a) + cp.sum(cosines @ variable)
        constraints = [-cp.log(variable[i]) - cp.log(cosines[i] @ variable) <= 0 for i in range(len(a))]
        problem = cp.Problem(cp.Minimize(linear), constraints)
        problem.solve(solver=cp.CLARABEL)
        if variable.value is None:
            raise ArithmeticError(f"NashMTL(solver='ccp'): the convex program ended as {problem.status}")
        rest = float(np.abs(variable.value - a).max()) < 1e-6
        a = variable.value
        if rest:
            break
    weights = np.zeros(len(matrix))
    weights[live] = a / norms
    return torch.from_numpy(weights).to(gram)
