"""A whole step of UPGrad on a model whose tasks share a forward pass, by us and by TorchJD.

Axes: `T` tasks.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mtrl.aggregation import UPGrad
from mtrl.gradients import backward, loss_gradients
from scripts.gradients_bench.models import Model


class Price:
    """A linear head and a squared error per task; every variant is a forward pass and what follows."""

    def __init__(self, model: Model, device: str) -> None:
        torch.manual_seed(0)
        self.trunk, self.x = model.trunk().to(device), model.batch().to(device)
        self.heads = nn.ModuleList(nn.Linear(model.features, 1) for _ in range(model.tasks)).to(device)
        self.y = torch.randn(model.tasks, len(self.x), 1, device=device)
        self.method = UPGrad()
        self.hooked: nn.Module | None = None
        """A copy of the trunk with the hooks of `autogram`."""

    def variants(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name; the plain step first."""
        return {
            "plain": self.plain,
            "backward": self.ours,
            "all formed": self.formed,
            "TorchJD mtl_backward": self.torchjd,
            "TorchJD autogram": self.autogram,
        }

    def losses(self, z: Tensor) -> list[Tensor]:
        """A scalar per task."""
        return [((head(z) - y) ** 2).mean() for head, y in zip(self.heads, self.y, strict=True)]

    def plain(self) -> None:
        self.forget()
        torch.stack(self.losses(self.trunk(self.x))).mean().backward()

    def ours(self) -> None:
        self.forget()
        backward(self.losses(self.trunk(self.x)), self.method, self.trunk)

    def formed(self) -> None:
        """Every task's gradient by every parameter."""
        self.forget()
        losses, heads = self.losses(self.trunk(self.x)), [*self.heads.parameters()]
        gradients, of_heads = loss_gradients(losses, dict(self.trunk.named_parameters()), heads)
        direction = gradients.aggregate(self.method, torch.stack(losses).detach()).direction
        for parameter, gradient in zip(
            [*self.trunk.parameters(), *heads], [*direction.values(), *of_heads], strict=True
        ):
            parameter.grad = gradient

    def torchjd(self) -> None:
        from torchjd.aggregation import UPGrad as TheirUPGrad
        from torchjd.autojac import jac_to_grad, mtl_backward

        self.forget()
        z = self.trunk(self.x)
        mtl_backward(self.losses(z), z)
        jac_to_grad(self.trunk.parameters(), TheirUPGrad())

    def autogram(self) -> None:
        from torchjd.aggregation import UPGradWeighting
        from torchjd.autogram import Engine

        if self.hooked is None:
            self.hooked = copy.deepcopy(self.trunk)
            self.engine = Engine(self.hooked, batch_dim=None)
        self.forget()
        losses = torch.stack(self.losses(self.hooked(self.x)))
        losses.backward(UPGradWeighting()(self.engine.compute_gramian(losses)))

    def forget(self) -> None:
        """No parameter has a gradient."""
        hooked = [] if self.hooked is None else [self.hooked]
        for parameter in nn.ModuleList([self.trunk, self.heads, *hooked]).parameters():
            parameter.grad = None
            vars(parameter).pop("jac", None)
