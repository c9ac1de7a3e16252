"""All tasks have the same rows, as in supervised learning: one forward pass, a head and a loss per task."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mtrl.aggregation import MGDA, LinearScalarization, Method, NashMTL
from mtrl.gradients import backward, loss_gradients
from scripts.gradients_bench.models import INPUTS, mlp

OUTPUTS = 10


class SharedForward:
    """A ReLU network of three layers; every variant is a forward pass and what follows."""

    def __init__(self, tasks: int, rows: int, width: int, device: str) -> None:
        torch.manual_seed(0)
        self.trunk = mlp(width).to(device)
        self.heads = nn.ModuleList(nn.Linear(width, OUTPUTS) for _ in range(tasks)).to(device)
        self.x = torch.randn(rows, INPUTS, device=device)
        self.y = torch.randn(tasks, rows, OUTPUTS, device=device)
        self.tasks = tasks
        self.nash, self.mgda, self.mean = NashMTL(), MGDA(), LinearScalarization()

    def variants(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name; the plain backward pass first."""
        return {
            "plain backward": self.plain,
            "loss_gradients": lambda: self.collect(1),
            "loss_gradients, all tasks in a chunk": lambda: self.collect(self.tasks),
            "backward, LinearScalarization": lambda: self.step(self.mean),
            "backward, NashMTL": lambda: self.step(self.nash),
            "backward, NashMTL, update_every=10": lambda: self.step(self.nash, update_every=10),
            "backward, MGDA, features (MGDA-UB)": self.upper_bound,
            "TorchJD autojac.mtl_backward": self.torchjd,
            "whole UPGrad step, TorchJD": self.torchjd_step,
        }

    def losses(self, z: Tensor) -> list[Tensor]:
        """A scalar per task."""
        return [((head(z) - y) ** 2).mean() for head, y in zip(self.heads, self.y, strict=True)]

    def plain(self) -> None:
        self._forget()
        torch.stack(self.losses(self.trunk(self.x))).sum().backward()

    def collect(self, chunk_size: int) -> object:
        heads = list(self.heads.parameters())
        losses = self.losses(self.trunk(self.x))
        return loss_gradients(losses, dict(self.trunk.named_parameters()), heads, chunk_size=chunk_size)

    def step(self, method: Method, update_every: int = 1) -> None:
        self._forget()
        backward(self.losses(self.trunk(self.x)), method, self.trunk.parameters(), update_every=update_every)

    def upper_bound(self) -> None:
        self._forget()
        z = self.trunk(self.x)
        backward(self.losses(z), self.mgda, self.trunk.parameters(), features=z)

    def torchjd(self) -> None:
        from torchjd.autojac import mtl_backward

        self._forget()
        for parameter in self.trunk.parameters():
            vars(parameter).pop("jac", None)
        z = self.trunk(self.x)
        mtl_backward(self.losses(z), z)

    def torchjd_step(self) -> None:
        from torchjd.aggregation import UPGrad
        from torchjd.autojac import jac_to_grad

        self.torchjd()
        jac_to_grad(self.trunk.parameters(), UPGrad())

    def _forget(self) -> None:
        self.trunk.zero_grad()
        self.heads.zero_grad()
