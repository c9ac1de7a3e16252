"""The two-objective toy problem of the papers: two losses of a point, their gradients and their Pareto set.

Liu et al. 2021 (CAGrad, section 5.1); Navon et al. 2022 (Nash-MTL, figure 1 and appendix B) multiply the first loss by
0.1 and take other starts. Axes: 2 is the two tasks, or the two coordinates of a point (last axis).
"""

import torch
from torch import Tensor

STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
"""Of Nash-MTL's figure 1."""
LEAST = 5e-6
"""Below it the logarithm's argument is constant: it would be zero on two curves."""


def toy_losses(points: Tensor) -> Tensor:
    """Both losses; the second is the first at the mirrored point `(-x1, x2)`.

    Above `x2 = 0` two narrow valleys that no gradient follows to the front, below it two bowls:

        L1 = c1 (log max(|(x1 + 7) / 2 - tanh x2|, LEAST) + 6) + c2 (((x1 - 7)^2 + (x2 + 8)^2 / 10) / 10 - 20),
        c1 = max(tanh(x2 / 2), 0),  c2 = max(tanh(-x2 / 2), 0).

    CAGrad's paper and the code of both papers have this second loss, with `+ tanh x2` in its valley; Nash-MTL's paper
    prints `- tanh x2` there, which would not be the mirror image.

    Args:
        points: `[..., 2]`.

    Returns:
        `[..., 2]`.
    """
    x1, x2 = points.unbind(-1)
    x1, x2 = torch.stack((x1, -x1), -1), x2.unsqueeze(-1)
    valley = (0.5 * (x1 + 7) - x2.tanh()).abs().clamp(min=LEAST).log() + 6
    bowl = ((x1 - 7) ** 2 + 0.1 * (x2 + 8) ** 2) / 10 - 20
    return (0.5 * x2).tanh().clamp(min=0) * valley + (-0.5 * x2).tanh().clamp(min=0) * bowl


def toy_gradients(points: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of each loss at each point.

    Args:
        points: `[..., 2]`.
        scales: of the losses, `[..., 2]`, broadcast against the points.

    Returns:
        Gradients by task and coordinate, `[..., 2, 2]`, and the losses, `[..., 2]`; both times the scales.
    """
    with torch.enable_grad():
        # A copy of the point for each task: one backward pass through the sum gives every task's own gradient.
        copies = points.detach().unsqueeze(-2).repeat_interleave(2, -2).requires_grad_()
        losses = toy_losses(copies).diagonal(dim1=-2, dim2=-1) * scales
        (gradients,) = torch.autograd.grad(losses.sum(), copies)
    return gradients, losses.detach()


def pareto_set(x1: Tensor) -> Tensor:
    """Pareto-optimal points, `[..., 2]`, for `x1 [...]` in [-7, 7]; task 1 is best at 7, task 2 at -7.

    There the weights `(7 + x1) / 14`, `(7 - x1) / 14` of the tasks make the gradient vanish in `x1`; in `x2` it does
    where `x2 + 8 = -50 b / sinh(x2)`, `b` the weighted bowl.
    """
    # Paper: the figures draw the line x2 = -8.3552, which is the set at x1 = 0; at its ends x2 = -8.4345.
    x2 = torch.full_like(x1, -8.3552)
    for _ in range(60):  # a contraction by a factor of about 0.4
        bowl = ((49 - x1**2) + 0.1 * (x2 + 8) ** 2) / 10 - 20
        x2 = -8 - 50 * bowl / x2.sinh()
    return torch.stack((x1, x2), -1)
