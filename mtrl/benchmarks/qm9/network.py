"""The network of the QM9 benchmark: three rounds of NNConv and GRU, Set2Set, a linear head per target.

Molecules of one size are multiplied together, and nothing is padded. On a complete graph
`mean_j x_j W(e_ij) = sum_c (mean_j values_c(e_ij) x_j) weights_c`: a product per molecule, then one of matrices, in
place of a matrix per edge. Equal to the form with an edge's own matrix up to rounding.

Axes: `B` molecules, `R` atoms of all molecules, `G` sizes of molecules, `b` molecules of one size, `n` their atoms, `C`
channels, `F` features, `K` kinds of atoms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtrl.benchmarks.qm9.edge_network import EdgeNetwork
from mtrl.benchmarks.qm9.molecules import ATOM_FEATURES, Graphs
from mtrl.supervised.benchmark import MultiTaskModel

ROUNDS = 3
"""Of messages, and of attention in Set2Set."""


class Packed(NamedTuple):
    """A batch sorted by size, without padding."""

    order: Tensor
    """`[B]`, numbers of the molecules in the batch."""
    sizes: list[int]
    """`[G]`, ascending."""
    counts: list[int]
    """`[G]`, how many molecules have that size."""
    kinds: Tensor
    """`[K, 11]`, features of the atoms, each once."""
    kind: Tensor
    """`[R]`, which of them an atom has."""
    edges: list[Tensor]
    """`[b, n, n, 5]` for each size."""

    def split(self, atoms: Tensor) -> list[Tensor]:
        """`[R, F]` as `[b, n, F]` for each size."""
        parts = atoms.split([n * count for n, count in zip(self.sizes, self.counts, strict=True)])
        return [x.view(-1, n, x.shape[1]) for x, n in zip(parts, self.sizes, strict=True)]


def pack(graphs: Graphs) -> Packed:
    """Sorts a batch by size."""
    of_each, order = graphs.present.sum(1).sort(stable=True)
    distinct, counts = (x.tolist() for x in of_each.unique_consecutive(return_counts=True))
    members = list(zip(distinct, order.split(counts), strict=True))
    atoms = torch.cat([graphs.atoms[rows, :n].flatten(0, 1) for n, rows in members])
    kinds, kind = atoms.unique(dim=0, return_inverse=True)
    return Packed(order, distinct, counts, kinds, kind, [graphs.edges[rows, :n, :n] for n, rows in members])


class Network(MultiTaskModel):
    """Gilmer et al. 2017 with the sizes of Navon et al. 2022: 617,675 parameters at width 64 and with 11 tasks.

    Args:
        tasks: how many scalar outputs.
        width: of atoms' states and of the representation.
        edge_width: hidden units of the edge network.
    """

    def __init__(self, tasks: int, width: int = 64, edge_width: int = 128) -> None:
        super().__init__()
        self.lift = nn.Linear(ATOM_FEATURES, width)
        self.edge_network = EdgeNetwork(edge_width, width, width)
        self.root = nn.Linear(width, width)
        nn.init.zeros_(self.root.bias)  # as NNConv's
        self.gru = nn.GRUCell(width, width)
        self.lstm = nn.LSTMCell(2 * width, width)
        self.join = nn.Linear(2 * width, width)
        self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(tasks))

    def represent(self, inputs: Graphs) -> Tensor:
        """A vector for each molecule, `[B, 64]`."""
        packed = pack(inputs)
        channels, weights = self.edge_network(packed.edges)
        mixing = [_mean_over_others(values) for values in channels]
        kinds = self.lift(packed.kinds).relu()
        atoms = kinds[packed.kind]
        # The first round's atoms are of a few kinds: the weights meet the kinds instead, and messages count them.
        sent = packed.split(functional.one_hot(packed.kind, len(kinds)).to(kinds.dtype))
        received = _receive(mixing, sent, kinds @ weights)
        for following in range(1, ROUNDS + 1):
            atoms = self.gru((received + self.root(atoms)).relu(), atoms)
            if following < ROUNDS:
                received = _receive(mixing, packed.split(atoms), weights)
        pooled = self._set2set(packed.split(atoms), packed.counts)
        return self.join(pooled).relu()[packed.order.argsort()]

    def predict(self, representation: Tensor) -> list[Tensor]:
        """`[B]` for each task, standardised."""
        return [head(representation)[:, 0] for head in self.heads]

    def shared_parameters(self) -> list[nn.Parameter]:
        """All but the heads'."""
        return [p for name, p in self.named_parameters() if not name.startswith("heads.")]

    def _set2set(self, atoms: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
        """Vinyals et al. 2016: rounds of attention over the atoms of each molecule, `[B, 2 F]`."""
        state = None
        pooled = atoms[0].new_zeros(sum(counts), self.lstm.input_size)
        for _ in range(ROUNDS):
            state = self.lstm(pooled, state)
            query = state[0]
            read = [
                ((x @ q[:, :, None]).softmax(1).mT @ x)[:, 0] for x, q in zip(atoms, query.split(counts), strict=True)
            ]
            pooled = torch.cat([query, torch.cat(read)], 1)
        return pooled


def _mean_over_others(values: Tensor) -> Tensor:
    """What turns features of a molecule's atoms, `[b, n, F]`, into `mean_j values_ij x_j`, `[b, n C, F]`.

    Args:
        values: `[b, n, n, C]`, the same for `ij` and `ji`.
    """
    n = values.shape[1]
    others = (1 - torch.eye(n, dtype=values.dtype, device=values.device)) / max(n - 1, 1)
    # Stored with the sender first: both this product and the one back, for gradients, then read rows that are whole.
    return (values * others[:, :, None]).flatten(2).mT


def _receive(mixing: Sequence[Tensor], sent: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Messages that atoms receive, `[R, O]`, of what they sent, `[b, n, I]` for each size; weights `[C, I, O]`."""
    matrix = weights.flatten(0, 1)
    return torch.cat([(m @ x).view(-1, len(matrix)) @ matrix for m, x in zip(mixing, sent, strict=True)])
