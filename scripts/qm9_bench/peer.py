"""The network with a matrix for every edge: of torch_geometric's layers, or of plain ones."""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from mtrl.benchmarks.qm9.molecules import Graphs
from mtrl.benchmarks.qm9.network import ROUNDS, Network


class Peer:
    """Has the parameters of the network that it is compared with (torch_geometric draws the edge network's anew)."""

    def __init__(self, network: Network) -> None:
        self.network = network
        edge = network.edge_network
        width = edge.shape[0]
        self.matrices = nn.Sequential(edge.first, nn.ReLU(), edge.second)
        self.messages: Callable[..., Tensor] = self._messages
        self.set2set: Callable[..., Tensor] = self._set2set
        if find_spec("torch_geometric"):
            from torch_geometric.nn import NNConv, Set2Set

            self.messages = messages = NNConv(width, width, self.matrices, aggr="mean")
            messages.lin.weight, messages.bias = network.root.weight, network.root.bias
            self.set2set = set2set = Set2Set(width, processing_steps=ROUNDS)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(set2set.lstm, f"{name}_l0", getattr(network.lstm, name))

    def represent(self, graphs: Graphs) -> Tensor:
        """`[B, 64]`, of the graphs as lists of atoms and edges."""
        molecule, atom = graphs.present.nonzero().unbind(1)
        apart = ~torch.eye(graphs.present.shape[1], dtype=torch.bool)
        pairs = graphs.present[:, :, None] & graphs.present[:, None] & apart
        of_pair, sender, receiver = pairs.nonzero().unbind(1)
        number = torch.zeros_like(graphs.present, dtype=torch.int64)
        number[molecule, atom] = torch.arange(len(molecule))
        index = torch.stack([number[of_pair, sender], number[of_pair, receiver]])
        atoms, edges = graphs.atoms[graphs.present], graphs.edges[pairs]
        x = self.network.lift(atoms).relu()
        for _ in range(ROUNDS):
            x = self.network.gru(self.messages(x, index, edges).relu(), x)
        return self.network.join(self.set2set(x, molecule)).relu()

    def _messages(self, x: Tensor, index: Tensor, edges: Tensor) -> Tensor:
        matrices = self.matrices(edges).view(len(edges), *self.network.edge_network.shape)
        messages = (x[index[0], None] @ matrices)[:, 0]
        received = torch.zeros_like(x).index_add(0, index[1], messages)
        return received / torch.bincount(index[1])[:, None] + self.network.root(x)

    def _set2set(self, x: Tensor, molecule: Tensor) -> Tensor:
        sizes = torch.bincount(molecule).tolist()
        return self.network._set2set([part[None] for part in x.split(sizes)], [1] * len(sizes))
