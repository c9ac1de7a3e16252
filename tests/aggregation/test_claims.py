"""What each method claims, property by property: one row per method, strict xfail where it is known not to hold."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from mtrl import aggregation
from mtrl.aggregation import Method
from tests.aggregation.gradients import conflicting, gram, normal, solvable, stationary


@dataclass(frozen=True)
class Row:
    """A method, and the properties that it does not have."""

    name: str
    degree: float
    """Of homogeneity: gradients times `s` make the update times `s ** degree`."""
    breaks: frozenset[str]
    arguments: dict[str, Any] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    """Properties whose input it refuses with a ValueError."""

    def new(self) -> Method:
        method = aggregation.make(self.name, **self.arguments)
        assert isinstance(method, Method)
        return method

    def errors(self, claim: Callable[["Row"], None]) -> list[type[Exception]]:
        """What the property ends with, if not well."""
        if claim.__name__ in self.refuses:
            return [ValueError]
        return [BREAKS_WITH.get(claim, AssertionError)] if claim.__name__ in self.breaks else []

    def weights(self, G: torch.Tensor) -> torch.Tensor:
        """Of a new method."""
        return self.new()(G, losses(G))


# A new method: one row.
SCALES = {"task_scale_invariance"}
COUNTS = {"duplicate_ignored"}
WEIGHTED = {*COUNTS, "non_conflict", "stationary_stays"}
"""A weighted loss minds neither conflicts nor duplicates."""
KEEPS = {"vmap"}
"""State of the batch's shape: `torch.vmap` would leave its own kind of tensor in it; use leading axes instead."""
ROWS = [
    Row("mean", 1, frozenset({*SCALES, *COUNTS, "non_conflict", "stationary_stays"})),
    Row("mgda", 1, frozenset({*SCALES, "zero_gradient_ignored"})),
    Row("nash_mtl", 0, frozenset(COUNTS)),
    Row("pcgrad", 1, frozenset({*SCALES, *COUNTS, "permutation_equivariance", "non_conflict", "stationary_stays"})),
    Row("cagrad", 1, frozenset({*SCALES, *COUNTS, "non_conflict", "stationary_stays"})),
    Row("aligned_mtl", 1, frozenset({*SCALES, *COUNTS, "non_conflict", "stationary_stays"})),
    Row("con_fig", 1, frozenset({"stationary_stays"})),
    Row("dual_proj", 1, frozenset({*SCALES, *COUNTS, "stationary_stays"})),
    Row("fair_grad", -1 / 3, frozenset({*SCALES, *COUNTS}), {"alpha": 2.0}),
    Row("grad_vac", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS, "permutation_equivariance"})),
    Row("imtl_g", 1, frozenset()),
    Row(
        "krum",
        1,
        frozenset({*SCALES, *COUNTS, "non_conflict", "stationary_stays"}),
        refuses=frozenset({"one_task", "zero_gradient_ignored"}),
    ),
    Row("moco", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS, "zero_gradient_ignored"})),
    Row("sdm_grad", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS, "zero_gradient_ignored"})),
    Row("upgrad", 1, frozenset({*SCALES, *COUNTS, "stationary_stays"})),
    Row("db_mtl", 1, frozenset(WEIGHTED)),
    Row("dynamic_weight_average", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS})),
    Row("excess_mtl", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS})),
    Row("famo", 1, frozenset({*WEIGHTED, *KEEPS})),
    Row("geometric_mean", 1, frozenset(WEIGHTED)),
    Row("grad_norm", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS})),
    Row("imtl", 1, frozenset(KEEPS)),
    Row("imtl_l", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS})),
    Row(
        "random_loss_weighting", 1, frozenset({*SCALES, *WEIGHTED, "permutation_equivariance", "zero_gradient_ignored"})
    ),
    Row("scale_invariant", 0, frozenset(WEIGHTED)),
    Row("stch", 1, frozenset({*SCALES, *WEIGHTED, "homogeneity"})),
    Row("uncertainty_weighting", 1, frozenset({*SCALES, *WEIGHTED, *KEEPS})),
]


def losses(G: torch.Tensor) -> torch.Tensor:
    """One per task, in proportion to its gradient, as a factor on the loss makes it."""
    square = G.diagonal(dim1=-2, dim2=-1)
    return torch.where(square == 0, 1.0, square).sqrt()


def direction(J: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(weights @ J, dim=-1)


def permutation_equivariance(row: Row) -> None:
    J, order = conflicting(6), torch.tensor([3, 0, 5, 1, 2, 4])
    torch.testing.assert_close(row.weights(gram(J[order])), row.weights(gram(J))[order], rtol=1e-8, atol=1e-10)


def rotation_invariance(row: Row) -> None:
    J = conflicting(6)
    Q = torch.linalg.qr(normal(24, 24, seed=1)).Q
    torch.testing.assert_close(row.weights(gram(J @ Q)), row.weights(gram(J)), rtol=1e-8, atol=1e-10)


def homogeneity(row: Row) -> None:
    J = conflicting(6)
    update = row.weights(gram(J)) @ J
    for scale in (1e-6, 1e-3, 1e3, 1e6):
        scaled = row.weights(gram(scale * J)) @ (scale * J)
        torch.testing.assert_close(scaled / scale**row.degree, update, rtol=1e-8, atol=1e-9)


def task_scale_invariance(row: Row) -> None:
    J = conflicting(6)
    scaled = J * torch.logspace(-2, 2, 6, dtype=J.dtype)[:, None]
    torch.testing.assert_close(
        direction(scaled, row.weights(gram(scaled))), direction(J, row.weights(gram(J))), rtol=0, atol=1e-8
    )


def non_conflict(row: Row) -> None:
    for seed in range(10):
        J = conflicting(6, seed)
        gains = gram(J) @ row.weights(gram(J))
        assert (gains >= -1e-9 * gains.abs().max()).all(), f"seed {seed}: {gains.tolist()}"


def stationary_stays(row: Row) -> None:
    for name, J in stationary(5):
        update = row.weights(gram(J)) @ J
        assert update.norm() < 1e-6 * J.norm(), f"{name}: |d| = {update.norm():.1e}"


def zero_gradient_finite(row: Row) -> None:
    for J in (torch.zeros(4, 3, dtype=torch.float64), torch.diag(torch.tensor([1.0, 0, 2, 0]).double())):
        assert row.weights(gram(J)).isfinite().all()


def zero_gradient_ignored(row: Row) -> None:
    J = torch.cat((conflicting(2), torch.zeros(1, 8, dtype=torch.float64)))
    torch.testing.assert_close(
        direction(J, row.weights(gram(J))), direction(J[:2], row.weights(gram(J[:2]))), rtol=0, atol=1e-8
    )


def duplicate_ignored(row: Row) -> None:
    J = conflicting(3)
    double = J[[0, 1, 2, 2, 2]]
    torch.testing.assert_close(
        direction(double, row.weights(gram(double))), direction(J, row.weights(gram(J))), rtol=0, atol=1e-8
    )


def duplicates_finite(row: Row) -> None:
    J = normal(1, 8).expand(5, 8)
    torch.testing.assert_close(
        direction(J, row.weights(gram(J))), torch.nn.functional.normalize(J[0], dim=0), rtol=0, atol=1e-9
    )


def one_task(row: Row) -> None:
    weights = row.weights(torch.tensor([[4.0]]))
    assert weights.shape == (1,)
    assert weights.item() > 0


def batch_equals_loop(row: Row) -> None:
    batch = torch.stack([gram(J) for _, J in solvable(4)])[:12].view(3, 4, 4, 4)
    weights = row.weights(batch)
    for i in range(3):
        for j in range(4):
            torch.testing.assert_close(weights[i, j], row.weights(batch[i, j]), rtol=1e-9, atol=0)


def precision(row: Row) -> None:
    G = gram(conflicting(6))
    single = row.weights(G.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), row.weights(G.float().double()), rtol=1e-6, atol=1e-7)


def state_resumes(row: Row) -> None:
    method, resumed, G = row.new(), row.new(), gram(conflicting(6))
    for _ in range(3):
        method(G, losses(G))
    resumed.load_state_dict(method.state_dict())
    for _ in range(3):
        assert torch.equal(method(G, losses(G)), resumed(G, losses(G)))


def nan_in_nan_out(row: Row) -> None:
    for value in (torch.nan, torch.inf):
        batch = torch.stack((gram(conflicting(4)),) * 2)
        batch[1, 2, 3] = batch[1, 3, 2] = value
        weights = row.weights(batch)
        assert weights[0].isfinite().all()
        assert weights[1].isnan().all()


def no_synchronisation(row: Row) -> None:
    # A meta tensor has no values: reading one on the way raises.
    weights = row.weights(torch.empty(7, 5, 5, device="meta"))
    assert weights.device.type == "meta"
    assert weights.shape == (7, 5)


def vmap(row: Row) -> None:
    batch, method, plain = torch.stack([gram(conflicting(4, seed)) for seed in range(3)]), row.new(), row.new()
    for _ in range(2):
        weights = torch.vmap(method)(batch, losses(batch))
        torch.testing.assert_close(weights, plain(batch, losses(batch)), rtol=1e-9, atol=0)
        assert all(value.isfinite().all() for value in method.state_dict().values())


PROPERTIES: list[Callable[[Row], None]] = [
    permutation_equivariance,
    rotation_invariance,
    homogeneity,
    task_scale_invariance,
    non_conflict,
    stationary_stays,
    zero_gradient_finite,
    zero_gradient_ignored,
    duplicate_ignored,
    duplicates_finite,
    one_task,
    batch_equals_loop,
    precision,
    state_resumes,
    nan_in_nan_out,
    no_synchronisation,
    vmap,
]


BREAKS_WITH: dict[Callable[[Row], None], type[Exception]] = {vmap: RuntimeError}
"""What a property that does not hold raises, if not an AssertionError."""


def table() -> list[Any]:
    return [
        pytest.param(
            row,
            claim,
            id=f"{row.name}-{claim.__name__}",
            marks=[pytest.mark.xfail(raises=error, strict=True) for error in row.errors(claim)],
        )
        for row in ROWS
        for claim in PROPERTIES
    ]


@pytest.mark.parametrize(("row", "claim"), table())
def test_claim(row: Row, claim: Callable[[Row], None]) -> None:
    claim(row)


def test_every_method_has_a_row() -> None:
    assert {row.name for row in ROWS} == {
        name for name, kind in aggregation.METHODS.items() if issubclass(kind, Method)
    }
    assert {name for row in ROWS for name in row.breaks | row.refuses} <= {claim.__name__ for claim in PROPERTIES}
