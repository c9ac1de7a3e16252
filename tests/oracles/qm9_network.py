"""QM9's network edge by edge: a matrix for every edge, messages one at a time, molecules one at a time."""

import torch
from torch import Tensor
from torch.nn import functional

from mtrl.benchmarks.qm9.molecules import Graphs
from mtrl.benchmarks.qm9.network import Network


def represent(network: Network, graphs: Graphs) -> Tensor:
    """`[B, F]`, with the parameters of `network`."""
    found = []
    for atoms, edges, present in zip(*graphs, strict=True):
        n = int(present.sum())
        found.append(_represent(network, atoms[:n], edges[:n, :n]))
    return torch.stack(found)


def edge_matrices(network: Network, edges: Tensor) -> Tensor:
    """`[E, 5]` to `[E, I, O]`."""
    edge = network.edge_network
    return edge.second(functional.relu(edge.first(edges))).view(len(edges), *edge.shape)


def _represent(network: Network, atoms: Tensor, edges: Tensor) -> Tensor:
    n = len(atoms)
    x = functional.relu(network.lift(atoms))
    for _ in range(3):
        received = []
        for i in range(n):
            others = [j for j in range(n) if j != i]
            matrices = edge_matrices(network, edges[others, i])
            received.append(torch.einsum("ei,eio->o", x[others], matrices) / (n - 1))
        messages = functional.relu(torch.stack(received) + network.root(x))
        x = network.gru(messages, x)
    pooled, state = x.new_zeros(1, 2 * x.shape[1]), None
    for _ in range(3):
        state = network.lstm(pooled, state)
        attention = torch.softmax(x @ state[0][0], 0)
        pooled = torch.cat([state[0][0], attention @ x])[None]
    return functional.relu(network.join(pooled))[0]
