"""Each sample of a batch is a task (instance-wise Jacobian descent): one network, a loss per sample.

Axes: `T` tasks, that is samples.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mtrl.aggregation import MGDA, Method, UPGrad
from mtrl.gradients import backward
from scripts.gradients_bench.models import INPUTS, mlp


class Samples:
    """A ReLU network of three layers, a squared error per sample; every variant is a forward pass and what follows."""

    def __init__(self, rows: int, width: int, device: str) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(*mlp(width), nn.Linear(width, 1)).to(device)
        self.x, self.y = torch.randn(rows, INPUTS, device=device), torch.randn(rows, device=device)
        self.hooked: nn.Module | None = None
        """A copy with the hooks of `autogram`."""
        self.upgrad, self.mgda = UPGrad(), MGDA()
        self.jacobian_mib = rows * sum(p.numel() for p in self.model.parameters()) * 4 / 2**20

    def variants(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name; the plain step first."""
        return {
            "plain step": self.plain,
            "backward, UPGrad": lambda: self.step(self.upgrad),
            "backward, MGDA": lambda: self.step(self.mgda),
            "UPGrad, TorchJD autogram": self.autogram,
        }

    def losses(self, model: nn.Module) -> Tensor:
        """One per sample, `[T]`."""
        self._forget()
        return (model(self.x)[:, 0] - self.y) ** 2

    def plain(self) -> None:
        self.losses(self.model).mean().backward()

    def step(self, method: Method) -> None:
        backward(self.losses(self.model), method, self.model)

    def autogram(self) -> None:
        from torchjd.aggregation import UPGradWeighting
        from torchjd.autogram import Engine

        if self.hooked is None:
            self.hooked = copy.deepcopy(self.model)
            self.engine = Engine(self.hooked, batch_dim=0)
        losses = self.losses(self.hooked)
        losses.backward(UPGradWeighting()(self.engine.compute_gramian(losses)))

    def _forget(self) -> None:
        for model in (self.model, self.hooked):
            if model is not None:
                model.zero_grad()
