"""The matrix products of an update, and how fast they are in either number format.

Axes: `S` replicas, `T` tasks, `B` rows of a task, `I` inputs and `O` outputs of a linear layer.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mtrl.agents.config import Config
from mtrl.agents.losses import soft_actor_critic
from mtrl.agents.networks import Network

MEASURED_FLOP = 5e8  # of a forward pass at most, one replica at least: more of them only repeat it
MEASURED_S, ROUNDS = 0.1, 3  # at least; fewer rounds where they take three times as long
GPU_REPEATS = 20  # between two waits for a GPU, so that it is not the waiting that is measured


class Layer(NamedTuple):
    """A linear layer's shape."""

    inputs: int
    outputs: int
    is_own: bool
    """Each task has its own."""


class Rows(NamedTuple):
    """The rows that go through each layer in an update."""

    replicas: int
    tasks: int
    per_task: int


def layers_of(config: Config, observation_size: int, action_size: int) -> Counter[Layer]:
    """The number of layers of each shape in actor and critics."""
    functions = soft_actor_critic(config.agent, observation_size, action_size, torch.float32)
    counts: Counter[Layer] = Counter()
    for network, number in ((functions.actor, 1), (functions.critic.network, 2)):
        for layer in layers_of_network(network):
            counts[layer] += number
    return counts


def layers_of_network(network: Network) -> list[Layer]:
    """Its linear layers, in the order of its parameters: the shared ones first."""
    groups = network.init(1, Generator())
    return [
        Layer(tensor.shape[-2], tensor.shape[-1], is_own)
        for group, is_own in ((groups.shared, False), (groups.own, True))
        for name, tensor in group.items()
        if name.endswith(".weight")
    ]


def speedup(layers: Mapping[Layer, int], rows: Rows, device: torch.device) -> float:
    """How many times as fast as in float32 the products are in bfloat16: below 1 where they are slower.

    Each layer's product and the two of its backward pass; the formats take turns, and the fastest of several rounds
    counts, because others may be at work.
    """
    flop = sum(2 * rows.tasks * rows.per_task * layer.inputs * layer.outputs for layer in layers)
    rows = rows._replace(replicas=max(1, min(rows.replicas, int(MEASURED_FLOP // flop))))
    formats = torch.float32, torch.bfloat16
    operands = {(layer, dtype): Operands.random(layer, rows, dtype, device) for layer in layers for dtype in formats}
    for own in operands.values():
        own.seconds(device)  # the first product of a shape and format is prepared
    fastest = dict.fromkeys(operands, float("inf"))
    taken, done = 0.0, 0
    while taken < MEASURED_S or (done < ROUNDS and taken < ROUNDS * MEASURED_S):
        for key, own in operands.items():
            taken += (seconds := own.seconds(device))
            fastest[key] = min(fastest[key], seconds)
        done += 1
    single, half = (sum(number * fastest[layer, dtype] for layer, number in layers.items()) for dtype in formats)
    return single / half


class Operands(NamedTuple):
    """Operands of a layer's three products in one number format, and the tensors that take the results."""

    x: Tensor
    """`[S, T B, I]`, or `[S T, B, I]` where each task has its own layer."""
    weight: Tensor
    d: Tensor
    """Gradient with respect to the output, as `x` but for its size."""
    results: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def random(cls, layer: Layer, rows: Rows, dtype: torch.dtype, device: torch.device) -> "Operands":
        """Random operands of a layer's three products."""
        batches = rows.replicas * (rows.tasks if layer.is_own else 1)
        each = rows.per_task * (1 if layer.is_own else rows.tasks)

        generator = Generator(device).manual_seed(0)  # torch's own is the user's

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, device=device).to(dtype)

        x, d = normal(batches, each, layer.inputs), normal(batches, each, layer.outputs)
        weight = normal(batches, layer.inputs, layer.outputs)
        return cls(x, weight, d, (torch.empty_like(d), torch.empty_like(x), torch.empty_like(weight)))

    def seconds(self, device: torch.device) -> float:
        """Seconds that the product and its gradients with respect to `x` and the weight take."""
        output, of_x, of_weight = self.results
        # On a CPU its own time, summed over threads: what else runs there says nothing of the format.
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        start = clock()
        for _ in range(1 if device.type == "cpu" else GPU_REPEATS):
            torch.bmm(self.x, self.weight, out=output)
            torch.bmm(self.d, self.weight.mT, out=of_x)
            torch.bmm(self.x.mT, self.d, out=of_weight)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - start
