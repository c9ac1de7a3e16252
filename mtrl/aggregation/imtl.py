"""IMTL: learned scales make the losses equal, and the update has equal projections on their gradients."""

from torch import Tensor

from mtrl.aggregation.imtl_g import impartial_weights
from mtrl.aggregation.imtl_l import learned_scales
from mtrl.aggregation.method import Method
from mtrl.aggregation.solvers.loss_weighting import checked_learning_rate


class IMTL(Method):
    """Impartial Multi-Task Learning (Liu et al. 2021, "Towards Impartial Multi-task Learning", algorithm 1).

    Both halves: weights `a_i e^(s_i)`, with the scales `s` of IMTL-L and `a` the weights of IMTL-G for the scaled
    gradients `e^(s_i) g_i`. An Adam inside this method learns `s`: each call gives the weights and then takes a step;
    no second optimizer is needed.

    Convention: the `a` sum to one, as in the paper. Paper: heads follow the gradient of the scaled loss; here they
    take the plain one. Losses must be positive: the others do not count in the step of `s`. So it makes no sense for
    losses that change sign, such as those of actors in reinforcement learning.

    Args:
        learning_rate: of `s`, > 0. Paper: that of the network.
    """

    needs_losses = True
    positive_losses = True
    log_scales: Tensor | None
    """`[..., 4, T]`: `s` in the first row, then its Adam."""

    def __init__(self, learning_rate: float = 0.025) -> None:
        super().__init__()
        self.learning_rate = checked_learning_rate("IMTL", learning_rate)
        self.open_buffer("log_scales", -1)

    def weigh(self, gram: Tensor, losses: Tensor | None, eps: float) -> Tensor:
        losses = self.given(losses)
        scales = learned_scales(self, losses, self.learning_rate)
        return scales * impartial_weights(gram * (scales.unsqueeze(-1) * scales.unsqueeze(-2)), eps)
