"""One graph without breaks; the machine code gives the same numbers."""

import pytest
import torch

from mtrl import aggregation
from tests.aggregation.gradients import conflicting, gram


@pytest.mark.parametrize("name", aggregation.METHODS)
def test_traces_as_one_graph(name: str) -> None:
    G = gram(conflicting(3))
    compiled = torch.compile(aggregation.make(name), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(G), aggregation.make(name)(G), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["nash_mtl", "pcgrad"])
def test_compiles(name: str) -> None:
    G, plain = gram(conflicting(3)), aggregation.make(name)
    compiled = torch.compile(aggregation.make(name), fullgraph=True)
    for _ in range(3):  # the state moves on in compiled code as well
        torch.testing.assert_close(compiled(G), plain(G), rtol=1e-9, atol=0)
    assert compiled(G * torch.nan).isnan().all()
