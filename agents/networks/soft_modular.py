"""Modules in layers, and a network that routes between them (Yang et al. 2020, soft modularization).

Axes: `B` rows, `n` modules of a layer, `D` features of observation and task.
"""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mtrl.agents.networks.conditioning import HiddenLayers, TaskVector
from mtrl.agents.networks.feed_forward import MLP
from mtrl.agents.networks.layers import Forward, Linear
from mtrl.agents.networks.parameters import NetworkParameters, Part, init_all


class SoftModular:
    """`depth` layers of `num_modules` modules each; a module reads a mixture of the outputs of the layer before.

    Paper: the last layer's modules are heads, whose outputs are added (eq. 9); here, as in the authors' code, a last
    routing mixes them, and a head follows.

    Args:
        hidden: makes the layers that are not of the routing.
        num_inputs: `I`.
        width: units of a module.
        depth: layers of modules.
        num_modules: `n`.
        num_features: `D`.
    """

    def __init__(
        self, hidden: HiddenLayers, num_inputs: int, width: int, depth: int, num_modules: int, num_features: int
    ) -> None:
        self.num_outputs, self.num_modules = width, num_modules
        self.observation = MLP(hidden, num_inputs, num_features, 2, "observation.", linear_output=True)
        self.task = TaskVector("task", num_features, norm=num_features**0.5)  # entries of order one
        sizes = [num_features] + [width] * depth
        self.modules = [
            [hidden(f"layer{i}.module{j}", sizes[i], width) for j in range(num_modules)] for i in range(depth)
        ]
        # Nearly equal shares at first.
        self.route = [
            Linear(f"route{i}", num_features, num_modules * (num_modules if i < depth - 1 else 1), gain=0.01)
            for i in range(depth)
        ]
        self.reroute = [Linear(f"reroute{i}", num_modules**2, num_features) for i in range(1, depth)]

    def init(self, num_tasks: int, generator: Generator) -> NetworkParameters:
        """See `Part`."""
        modules = [module for layer in self.modules for module in layer]
        parts: list[Part] = [self.observation, self.task, *modules, *self.route, *self.reroute]
        return init_all(parts, num_tasks, generator)

    def __call__(self, forward: Forward, x: Tensor) -> Tensor:
        """See `Layer`."""
        features = self.observation(forward, x)
        inputs = [functional.relu(features)] * self.num_modules
        for modules, shares in zip(self.modules, self.shares(forward, features), strict=True):
            outputs = [functional.relu(module(forward, y)) for module, y in zip(modules, inputs, strict=True)]
            inputs = list((shares @ torch.stack(outputs, -2)).unbind(-2))  # eq. 8
        (mixture,) = inputs
        return mixture

    def shares(self, forward: Forward, features: Tensor) -> list[Tensor]:
        """Shares that each module takes of those in the layer before: `[B, n, n]`, for the last mixture `[B, 1, n]`.

        Args:
            forward: see `Layer`.
            features: of the observation, `[B, D]`.
        """
        both = features * self.task(forward)
        logits = self.route[0](forward, functional.relu(both))
        shares = [self._normalised(logits)]
        for reroute, route in zip(self.reroute, self.route[1:], strict=True):
            # Paper: reads the logits (eq. 5); here the shares, as in the authors' code.
            gate = reroute(forward, shares[-1].flatten(-2))
            shares.append(self._normalised(route(forward, functional.relu(gate * both))))
        return shares

    def _normalised(self, logits: Tensor) -> Tensor:
        return logits.unflatten(-1, (-1, self.num_modules)).softmax(-1)  # eq. 7
