"""NNConv's edge network on batches of complete graphs, in as few channels as the batch needs.

Axes: `b` molecules of one size, `n` their atoms, `C` channels, `I` inputs and `O` outputs of a convolution.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtrl.benchmarks.qm9.molecules import EDGE_FEATURES
from mtrl.benchmarks.qm9.raw import MAX_BOND


class Channels(NamedTuple):
    """`W(e) = sum_c values_c(e) weights_c`, the matrix that an edge multiplies messages by."""

    values: list[Tensor]
    """`[b, n, n, C]` for each tensor of edges."""
    weights: Tensor
    """`[C, I, O]`"""


class EdgeNetwork(nn.Module):
    """Linear, ReLU, Linear: from the features of an edge to a matrix `[I, O]` (Gilmer et al. 2017, edge network)."""

    def __init__(self, hidden: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shape = (inputs, outputs)
        self.first = nn.Linear(EDGE_FEATURES, hidden)
        self.second = nn.Linear(hidden, inputs * outputs)

    def forward(self, edges: Sequence[Tensor]) -> Channels:
        """The matrices of edges, unmultiplied.

        The last layer is linear, so that hidden units may serve as channels. A unit that is positive on every edge of
        the batch is linear there, and all such units together need but a channel for each feature and one for the
        bias; a unit that is negative on every edge needs none. About half of the units remain. Reads values back from
        the device, once.

        Args:
            edges: of molecules of one size each, `[b, n, n, 5]`; the diagonal, which is no edge, does not count.
        """
        above = [torch.triu_indices(x.shape[1], x.shape[1], 1, device=x.device) for x in edges]
        always, mixed = self._units(
            torch.cat([x[:, i, j].flatten(0, 1) for x, (i, j) in zip(edges, above, strict=True)])
        )
        rows = self.second.weight.mT
        linear = self.first.weight[always].mT @ rows[always]
        constant = self.first.bias[always] @ rows[always] + self.second.bias
        weights = torch.cat([rows[mixed], linear, constant[None]]).view(-1, *self.shape)
        weight, bias = self.first.weight[mixed], self.first.bias[mixed]
        values = [
            torch.cat([functional.linear(x, weight, bias).relu(), x, torch.ones_like(x[..., :1])], -1) for x in edges
        ]
        return Channels(values, weights)

    @torch.no_grad()
    def _units(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the hidden units that are positive on all edges, and of those that are so on some only.

        Among edges of one kind of bond a unit is linear in the distance: the nearest and the farthest pair decide.
        """
        numbers = torch.arange(1, MAX_BOND + 1, dtype=edges.dtype, device=edges.device)
        kind = (edges[:, :MAX_BOND] @ numbers).long()
        ends = [
            edges.new_zeros(MAX_BOND + 1).scatter_reduce(0, kind, edges[:, -1], which, include_self=False)
            for which in ("amin", "amax")
        ]
        found = torch.bincount(kind, minlength=MAX_BOND + 1) > 0
        bonds = torch.eye(MAX_BOND + 1, dtype=edges.dtype, device=edges.device)[:, 1:]
        extreme = torch.cat([torch.cat([bonds, end[:, None]], 1)[found] for end in ends])
        positive = self.first(extreme) > 0
        always = positive.all(0)
        return always.nonzero()[:, 0], (positive.any(0) & ~always).nonzero()[:, 0]
