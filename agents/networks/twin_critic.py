"""Two critics (Fujimoto et al. 2018)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from agents.networks.network import Network
from agents.networks.parameters import NetworkParameters, init_all
from mtrl.gradients import Parameters, Tape


@dataclass(frozen=True)
class TwinCritic:
    """Two networks of observation and action that differ in their first parameters alone."""

    networks: tuple[Network, Network]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """First parameters of both."""
        return init_all(self.networks, num_tasks, generator)

    def __call__(
        self, tape: Tape, shared: Parameters, own: Parameters, observation: Tensor, action: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of both for one task, `[B, num_outputs]` each."""
        x = torch.cat([observation, action], -1)
        first, second = (network(tape, shared, own, x) for network in self.networks)
        return first, second
