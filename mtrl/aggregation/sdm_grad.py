"""SDMGrad: MGDA pulled towards the mean gradient, its weights moved on by a few projected steps per call."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.linear_algebra import multiply
from mtrl.aggregation.solvers.per_task import checked_preference, per_task
from mtrl.aggregation.solvers.simplex import of_sum_one, project_on_simplex


class SDMGrad(Method):
    """Direction-oriented Multi-objective Learning (Xiao et al. 2023), algorithm 1.

    The update is `sum_i w_i g_i + lam g_0`, `g_0 = sum_i p_i g_i`, with `w` on the simplex near the minimum of its
    length: each call takes `num_steps` steps

        w <- project(w - learning_rate G (w + lam p))

    from where the last call ended (from `1/T` at first); where tasks are absent, on the simplex of the others, which
    keep the share that they have of all tasks' weights. `G` may be the inner products of two independent batches,
    `G_ij = <g_i, g'_j>`, as the paper needs for unbiased steps: it is not taken to be symmetric. The update then takes
    the gradients of a third batch.

    Convention: the paper's sum, weights of `1 + lam` in total; the authors' code divides by that. The steps are
    relative to the mean gradient length, `learning_rate / mean(|g_i|)^2`, and have a momentum within the call, as in
    the authors' code (without its additive constant). Paper: no momentum. With the default, the code's, the steps are
    too long to settle: the weights go to and fro among the tasks.

    Args:
        lam: pull towards `g_0`, >= 0; 0 is MGDA's aim, and the larger the nearer to `g_0`'s direction.
        learning_rate: size of the steps, > 0.
        momentum: of the steps, 0 <= momentum < 1.
        num_steps: per call, >= 1.
        preference: `p`, one number >= 0 per task, used as given; None for `1/T`.
    """

    simplex_weights: Tensor | None

    def __init__(
        self,
        lam: float = 0.3,
        learning_rate: float = 10.0,
        momentum: float = 0.5,
        num_steps: int = 20,
        preference: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= lam < float("inf"):
            raise ValueError(f"SDMGrad needs a finite lam >= 0, got lam={lam}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"SDMGrad needs a finite learning_rate > 0, got learning_rate={learning_rate}")
        if not 0 <= momentum < 1:
            raise ValueError(f"SDMGrad needs 0 <= momentum < 1, got momentum={momentum}")
        if num_steps < 1:
            raise ValueError(f"SDMGrad needs num_steps >= 1, got num_steps={num_steps}")
        self.lam = lam
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.num_steps = num_steps
        self.preference = checked_preference("SDMGrad", preference)
        self.open_buffer("simplex_weights", -1, fair=True)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        pull = self.lam * per_task("SDMGrad", "preference", self.preference, 1 / gram.shape[-1], gram[..., 0])
        w, share = of_sum_one(self.remembered("simplex_weights", torch.full_like(gram[..., 0], 1 / gram.shape[-1])))
        # Across two batches the diagonal may be negative; such a task has no length to speak of.
        size = gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt().mean(-1, keepdim=True).unsqueeze(-1)
        scaled = gram / torch.where(size > 0, size, 1.0) ** 2
        velocity = torch.zeros_like(w)
        for _ in range(self.num_steps):
            velocity = self.momentum * velocity + multiply(scaled, w + pull)
            w = project_on_simplex(w - self.learning_rate * velocity)
        self.remember("simplex_weights", share * w)
        return w + pull
