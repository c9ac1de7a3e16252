"""Two critics (Fujimoto et al. 2018)."""

from __future__ import annotations  # evaluated annotations of inner functions break compiled graphs

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.func import vmap

from mtrl.agents.networks.network import Network
from mtrl.agents.networks.parameters import NetworkParameters
from mtrl.gradients import Parameters, Tape, over_tasks


@dataclass(frozen=True)
class TwinCritic:
    """Two networks of observation and action that differ in their first parameters alone, as one more axis.

    Their parameters are `[2, ...]`, each task's own `[2, T, ...]`.
    """

    network: Network

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters of both."""
        twins = [self.network.init(num_tasks, generator) for _ in range(2)]
        shared, own = (
            {name: torch.stack([group[name] for group in groups]) for name in groups[0]}
            for groups in zip(*twins, strict=True)
        )
        return NetworkParameters(shared, own)

    def __call__(self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor, action: Tensor) -> Tensor:
        """Outputs of both for all tasks, `[2, T, B, num_outputs]`.

        Args:
            tape: see `mtrl.gradients.linear`.
            shared: as `mtrl.gradients.by_task` gives them.
            own: `[2, T, ...]`.
            observation: `[T, B, O]`.
            action: `[T, B, A]`.
        """
        x = torch.cat([observation, action], -1)  # [T, B, O + A]

        def of_one_critic(shared: Parameters, own: Parameters) -> tuple[Tensor, Tape]:
            inputs: Tape = {}
            return over_tasks(self.network)(inputs, shared, own, x), inputs

        outputs, inputs = vmap(of_one_critic)(shared, own)  # [2, T, B, N], and of each layer [2, T, B, I]
        tape.update(inputs)
        return outputs
