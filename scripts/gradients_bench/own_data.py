"""Each task has rows of its own, as in reinforcement learning: a trunk of linear layers, a head per task.

Axes: `T` tasks, `B` rows of a task.
"""

import itertools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from mtrl.aggregation import NashMTL
from mtrl.gradients import Tape, TaskGradients, linear, linear_task_gradients, over_tasks, task_gradients

INPUTS, OUTPUTS, LAYERS = 49, 10, 3
Named = Mapping[str, Tensor]


class OwnData:
    """A ReLU network of three layers; every variant is a forward pass and what follows."""

    def __init__(self, tasks: int, rows: int, width: int, device: str) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator).to(device)

        sizes = [INPUTS] + [width] * LAYERS
        self.shared: dict[str, Tensor] = {}
        for layer, (before, after) in enumerate(itertools.pairwise(sizes)):
            self.shared[f"{layer}.weight"] = (normal(before, after) / before**0.5).requires_grad_()
            self.shared[f"{layer}.bias"] = torch.zeros(1, after, device=device, requires_grad=True)
        self.own = {"head": (normal(tasks, width, OUTPUTS) / width**0.5).requires_grad_()}
        self.x, self.y = normal(tasks, rows, INPUTS), normal(tasks, rows, OUTPUTS)
        self.parameters = [*self.shared.values(), *self.own.values()]
        self.method = NashMTL()

    def variants(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name; the plain backward pass first."""
        return {
            "plain backward": self.plain,
            "autograd.grad in a loop": self.loop,
            "task_gradients (vmap)": self.collect,
            "linear_task_gradients": lambda: self.collect_linear()[0].whole(),  # noqa: PLW0108 (collects in the call)
            "whole Nash step, task_gradients": lambda: self.step(self.collect()),
            "whole Nash step, linear_task_gradients": lambda: self.step(self.collect_linear()),
            "TorchJD autojac.backward": self.torchjd,
            "whole UPGrad step, TorchJD": self.torchjd_step,
        }

    def losses(self) -> Tensor:
        """One per task, `[T]`."""
        hidden = self.x.flatten(0, 1)
        for layer in range(LAYERS):
            hidden = functional.relu(hidden @ self.shared[f"{layer}.weight"] + self.shared[f"{layer}.bias"])
        error = hidden.view(*self.x.shape[:2], -1) @ self.own["head"] - self.y
        return (error**2).mean((1, 2))

    def plain(self) -> None:
        self._forget()
        self.losses().sum().backward()

    def loop(self) -> list[tuple[Tensor, ...]]:
        losses = self.losses()
        return [torch.autograd.grad(loss, self.parameters, retain_graph=True) for loss in losses]

    def collect(self) -> tuple[TaskGradients, Tensor]:
        def loss(shared: Named, own: Named, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[()]]:
            for layer in range(LAYERS):
                x = functional.relu(x @ shared[f"{layer}.weight"] + shared[f"{layer}.bias"])
            return ((x @ own["head"] - y) ** 2).mean(), ()

        gradients, _, losses, _ = task_gradients(loss, self.shared, self.own, self.x, self.y)
        return gradients, losses

    def collect_linear(self) -> tuple[TaskGradients, Tensor]:
        def loss(tape: Tape, shared: Named, own: Named, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[()]]:
            for layer in range(LAYERS):
                x = functional.relu(linear(shared, f"{layer}", x, tape, x.dtype))
            return ((x @ own["head"] - y) ** 2).mean(), ()

        tasks, rows = self.x.shape[:2]
        gradients, _, losses, _ = linear_task_gradients(
            over_tasks(loss), self.shared, self.own, self.x, self.y, num_tasks=tasks, num_rows=rows
        )
        return gradients, losses

    def step(self, collected: tuple[TaskGradients, Tensor]) -> None:
        gradients, losses = collected
        for name, direction in gradients.aggregate(self.method, losses).direction.items():
            self.shared[name].grad = direction

    def torchjd(self) -> None:
        from torchjd.autojac import backward

        self._forget()
        for parameter in self.parameters:
            vars(parameter).pop("jac", None)
        backward(self.losses(), inputs=self.parameters)

    def torchjd_step(self) -> None:
        from torchjd.aggregation import UPGrad
        from torchjd.autojac import jac_to_grad

        self.torchjd()
        jac_to_grad(self.shared.values(), UPGrad())

    def _forget(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
