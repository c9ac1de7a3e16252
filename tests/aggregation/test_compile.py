"""One graph without breaks; the machine code gives the same numbers."""

import pytest
import torch

from mtrl import aggregation
from tests.aggregation.gradients import conflicting, gram
from tests.aggregation.test_claims import losses


@pytest.fixture(autouse=True)
def _no_graphs_yet() -> None:
    torch.compiler.reset()  # all methods share `forward`, of which torch keeps eight graphs at most


@pytest.mark.parametrize("name", aggregation.METHODS)
def test_traces_as_one_graph(name: str) -> None:
    G = gram(conflicting(3))
    compiled, plain = torch.compile(aggregation.make(name), fullgraph=True, backend="eager"), aggregation.make(name)
    for _ in range(3):  # the state is made, then moves on
        torch.testing.assert_close(compiled(G, losses(G)), plain(G, losses(G)), rtol=1e-12, atol=0)


STATEFUL = ["dynamic_weight_average", "famo", "grad_norm", "pcgrad", "random_loss_weighting"]
SOLVED = ["aligned_mtl", "cagrad", "con_fig", "dual_proj", "fair_grad", "imtl_g", "mgda", "nash_mtl", "upgrad"]
"""Their solver is one operator, which compiled code calls: one of them stands for all."""
SLOW = set(SOLVED) - {"nash_mtl"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else []) for name in STATEFUL + SOLVED]
)
def test_compiles(name: str) -> None:
    G, plain = gram(conflicting(3)), aggregation.make(name)
    compiled = torch.compile(aggregation.make(name), fullgraph=True)
    for _ in range(3):  # the state moves on in compiled code as well
        torch.testing.assert_close(compiled(G, losses(G)), plain(G, losses(G)), rtol=1e-9, atol=0)
    assert compiled(G * torch.nan, losses(G)).isnan().all()
