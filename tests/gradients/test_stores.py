"""Gradients of all tasks by small parameters, which are kept beside each other."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA
from mtrl.gradients.size import SMALL
from mtrl.gradients.stores import Stores
from tests.oracles.jacobian import flat, jacobian


class Mixed(nn.Module):
    """Parameters of several dtypes and sizes, of which a task uses some."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3).double())
        self.long = nn.Parameter(torch.randn(2, SMALL).double() / SMALL)
        self.pair, self.scalar = nn.Parameter(torch.randn(2, dtype=torch.cfloat)), nn.Parameter(torch.randn(()))

    def losses(self) -> list[Tensor]:
        return [
            (self.first.double() * self.second).sum().tanh() + self.long.sum(),
            self.pair.abs().sum().double() + self.scalar,
            (self.second * self.scalar).sum() + (self.long[0] * self.second[0]).sum(),
        ]


@pytest.mark.parametrize("chunk_size", [1, 2, 3])
def test_each_parameter_has_its_own(chunk_size):
    net = Mixed()
    shared = [*net.parameters()]
    J = jacobian(net.losses, shared)
    weights = backward(net.losses(), MGDA(), shared, chunk_size=chunk_size)
    assert_close(weights.double(), MGDA()(J @ J.T), rtol=1e-4, atol=1e-6)
    assert_close(flat(shared), weights.double() @ J, rtol=1e-5, atol=1e-7)


def test_a_task_that_is_not_there_has_zeros():
    net = Mixed()
    shared = [*net.parameters()]
    roots = [get_gradient_edge(net.losses()[0]), None]
    stores = Stores(roots, shared, factored=False, average=None)
    found = [torch.ones_like(x) for x in shared]
    unit = stores.put(found, slice(0, 1), torch.zeros((), dtype=torch.float64))
    for x, leaf in zip(shared, stores.leaves(), strict=True):
        assert isinstance(leaf, Tensor)
        of_task, of_none = leaf if not x.is_complex() else torch.view_as_complex(leaf.contiguous())
        assert_close(of_task * unit.item(), torch.ones_like(x))
        assert_close(of_none, torch.zeros_like(x))
