"""GradDrop: in each coordinate one sign is drawn, and the gradients of the other are dropped."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregation.drawing import Drawing
from mtrl.aggregation.gradient_method import CoordinateMethod, check_columns
from mtrl.aggregation.solvers.per_task import per_task
from mtrl.aggregation.solvers.random_stream import random_uniform


class GradDrop(Drawing, CoordinateMethod):
    """Gradient Sign Dropout (Chen et al. 2020, algorithm 1, lines 10 to 15).

    In each coordinate the positive gradients are kept with the probability `P = (1 + sum_i g_i / sum_i |g_i|) / 2`,
    else the negative ones; a task's `leak` is the part of its gradient that is kept in any case.

    Convention: the sum. Paper: on the gradients of an activation, with the sign of the activation taken out and the
    batch summed; here on the coordinates that are given. One draw per coordinate serves all leading axes of a
    call, and each call (of a leaf, say) draws the next.

    Args:
        leak: between 0 and 1, one number for all or one per task; 1 is the sum of all gradients.
        seed: of the draws. It and the number of calls so far are the state that `state_dict()` holds.
    """

    def __init__(self, leak: float | Sequence[float] = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.leak = tuple(map(float, leak)) if isinstance(leak, Sequence) else leak
        if not all(0 <= part <= 1 for part in (self.leak if isinstance(self.leak, tuple) else (self.leak,))):
            raise ValueError(f"GradDrop needs 0 <= leak <= 1, got leak={leak}")
        self.start_stream(seed)

    def forward(self, gradients: Tensor, losses: Tensor | None = None) -> Tensor:
        check_columns(gradients)
        gradients = gradients.detach()
        leak = self._leak(gradients)
        draw = random_uniform(self.key, self.step, gradients.shape[-1]).to(gradients.device)
        self.step.add_(1)
        up, down = gradients.clamp(min=0), gradients.clamp(max=0)
        rise, size = up.sum(-2), gradients.abs().sum(-2)
        chosen = rise > draw * size  # P = rise / size; both are 0, and so is the update, where all gradients are
        update = torch.where(chosen, _sum(up, leak, down), _sum(down, leak, up))
        return torch.where(size.isfinite(), update, torch.nan)

    def _leak(self, gradients: Tensor) -> Tensor:
        """Each task's leak, `[..., 1, T]`."""
        # One number on a command line reads as a list of one.
        given = self.leak if isinstance(self.leak, tuple) else (self.leak,)
        values, default = (None, given[0]) if len(given) == 1 else (given, 0.0)
        return per_task("GradDrop", "leak", values, default, gradients[..., 0]).unsqueeze(-2)


def _sum(kept: Tensor, leak: Tensor, dropped: Tensor) -> Tensor:
    """What is kept, and the tasks' leaks of the rest."""
    return kept.sum(-2) + (leak @ dropped).squeeze(-2)
