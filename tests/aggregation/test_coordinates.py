"""Coordinate-wise rules: what each claims, and the rules themselves."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from mtrl import aggregation
from mtrl.aggregation import CoordinateMethod, GradDrop, TrimmedMean
from mtrl.aggregation.solvers.random_stream import random_key, random_normal, random_uniform
from tests.aggregation.gradients import conflicting, normal


@dataclass(frozen=True)
class Row:
    """A rule, and the properties that it does not have."""

    name: str
    breaks: frozenset[str] = frozenset()
    arguments: dict[str, Any] = field(default_factory=dict)

    def new(self) -> CoordinateMethod:
        method = aggregation.make(self.name, **self.arguments)
        assert isinstance(method, CoordinateMethod)
        return method

    def update(self, J: torch.Tensor) -> torch.Tensor:
        """Of a new rule."""
        return self.new()(J)


# The second draw is another one, so GradDrop's leaves are not those of the whole.
ROWS = [
    Row("grad_drop", frozenset({"leaf_by_leaf"})),
    Row("grad_drop", frozenset({"leaf_by_leaf"}), {"leak": 0.3}),
    Row("trimmed_mean"),
    Row("trimmed_mean", frozenset(), {"num_trimmed": 0}),
]


def permutation_invariance(row: Row) -> None:
    J = conflicting(6)
    torch.testing.assert_close(row.update(J[[3, 0, 5, 1, 2, 4]]), row.update(J), rtol=1e-12, atol=1e-12)


def homogeneity(row: Row) -> None:
    J = conflicting(6)
    for scale in (1e-6, 1e-3, 1e3, 1e6):
        torch.testing.assert_close(row.update(scale * J) / scale, row.update(J), rtol=1e-12, atol=1e-12)


def zero_gives_zero(row: Row) -> None:
    assert not row.update(torch.zeros(4, 7)).any()
    J = conflicting(4)
    J[:, 3] = 0
    assert row.update(J)[3] == 0


def agreement_keeps_the_sign(row: Row) -> None:
    J = conflicting(5).abs() * torch.where(torch.arange(20) % 3 == 0, -1.0, 1.0)
    update = row.update(J)
    assert (update * J >= 0).all()
    assert update.any()


def batch_equals_loop(row: Row) -> None:
    batch = normal(2, 3, 5, 11)
    update = row.update(batch)
    assert update.shape == (2, 3, 11)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(update[i, j], row.update(batch[i, j]), rtol=1e-12, atol=1e-12)


def leaf_by_leaf(row: Row) -> None:
    J, method = conflicting(6), row.new()
    parts = torch.cat([method(part) for part in J.split([1, 9, 14], 1)])
    torch.testing.assert_close(parts, row.update(J), rtol=1e-12, atol=1e-12)


def state_resumes(row: Row) -> None:
    method, resumed, J = row.new(), row.new(), conflicting(6)
    for _ in range(3):
        method(J)
    resumed.load_state_dict(method.state_dict())
    for _ in range(3):
        assert torch.equal(method(J), resumed(J))


def precision(row: Row) -> None:
    J = conflicting(6).float()
    update = row.update(J)
    assert update.dtype == torch.float32
    torch.testing.assert_close(update.double(), row.update(J.double()), rtol=1e-5, atol=1e-6)


def nan_in_nan_out(row: Row) -> None:
    for value in (torch.nan, torch.inf, -torch.inf):
        J = conflicting(4)
        J[2, 5] = value
        bad = row.update(J).isnan()
        assert bad[5]
        assert bad.sum() == 1


def no_gradient(row: Row) -> None:
    assert not row.update(conflicting(4).requires_grad_()).requires_grad


def no_synchronisation(row: Row) -> None:
    update = row.update(torch.empty(7, 5, 9, device="meta"))
    assert update.device.type == "meta"
    assert update.shape == (7, 9)


def vmap(row: Row) -> None:
    batch, method, plain = normal(3, 5, 11), row.new(), row.new()
    for _ in range(2):
        torch.testing.assert_close(torch.vmap(method)(batch), plain(batch), rtol=1e-12, atol=1e-12)


def compiles(row: Row) -> None:
    J, plain = conflicting(4), row.new()
    # Machine code is made of each rule once: it takes seconds.
    compiled = torch.compile(row.new(), fullgraph=True, backend="aot_eager" if row.arguments else "inductor")
    for _ in range(3):
        torch.testing.assert_close(compiled(J), plain(J), rtol=1e-12, atol=1e-12)


PROPERTIES: list[Callable[[Row], None]] = [
    permutation_invariance,
    homogeneity,
    zero_gives_zero,
    agreement_keeps_the_sign,
    batch_equals_loop,
    leaf_by_leaf,
    state_resumes,
    precision,
    nan_in_nan_out,
    no_gradient,
    no_synchronisation,
    vmap,
    compiles,
]


def table() -> list[Any]:
    return [
        pytest.param(
            row,
            claim,
            id=f"{row.name} {row.arguments}-{claim.__name__}",
            marks=[pytest.mark.xfail(raises=AssertionError, strict=True)] if claim.__name__ in row.breaks else [],
        )
        for row in ROWS
        for claim in PROPERTIES
    ]


@pytest.mark.parametrize(("row", "claim"), table())
def test_claim(row: Row, claim: Callable[[Row], None]) -> None:
    claim(row)


def test_every_rule_has_a_row() -> None:
    known = {name for name, kind in aggregation.METHODS.items() if issubclass(kind, CoordinateMethod)}
    assert {row.name for row in ROWS} == known
    assert {name for row in ROWS for name in row.breaks} <= {claim.__name__ for claim in PROPERTIES}


def test_trimmed_mean_drops_both_ends() -> None:
    J = torch.tensor([[1.0, 9, -5], [2, 0, 0], [100, 1, 1], [4, 2, 2], [-50, 3, 70]])
    assert TrimmedMean(num_trimmed=1)(J).tolist() == pytest.approx([7 / 3, 2, 1])
    assert TrimmedMean(num_trimmed=2)(J).tolist() == [2, 2, 1]
    assert torch.equal(TrimmedMean(num_trimmed=0)(J), J.mean(0))
    with pytest.raises(ValueError, match="TrimmedMean needs more than 6 tasks, got 5"):
        TrimmedMean(num_trimmed=3)(J)


def test_grad_drop_keeps_one_sign_as_often_as_it_weighs() -> None:
    J = torch.tensor([[3.0], [1], [-1], [-3]]).double() * torch.tensor([1.0, 2, 0.5]).double()
    J[3] = 0  # the positive ones have 4 of 5
    method, kept = GradDrop(), 0
    for _ in range(2000):
        update = method(J) / J[0]
        positive = torch.isclose(update, torch.tensor(4 / 3).double())
        assert (positive | torch.isclose(update, torch.tensor(-1 / 3).double())).all()
        kept += int(positive.sum())
    assert abs(kept / 6000 - 0.8) < 5 * (0.16 / 6000) ** 0.5


def test_grad_drop_leaks() -> None:
    J = conflicting(4)
    kept = GradDrop()(J)
    torch.testing.assert_close(GradDrop(leak=1.0)(J), J.sum(0))
    torch.testing.assert_close(GradDrop(leak=0.25)(J), 0.75 * kept + 0.25 * J.sum(0))
    assert torch.equal(GradDrop(leak=[0.25])(J), GradDrop(leak=0.25)(J))  # as one number on a command line reads
    whole = [1.0, 0, 0, 0]  # the first task's gradient goes through, the others' are dropped as before
    sign = torch.where(kept > 0, 1.0, -1.0)
    torch.testing.assert_close(GradDrop(leak=whole)(J), kept + torch.where(J[0] * sign > 0, 0.0, J[0]))
    with pytest.raises(ValueError, match="GradDrop needs one number in leak per task, got 4 for 3 tasks"):
        GradDrop(leak=whole)(J[:3])


def test_beside_torchjd() -> None:
    peer = pytest.importorskip("torchjd.aggregation")
    J = conflicting(6)
    torch.testing.assert_close(TrimmedMean(num_trimmed=2)(J), peer.TrimmedMean(2)(J))
    # Its draws are others: the means over many agree.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mine, theirs = GradDrop(leak=0.2), peer.GradDrop(leak=torch.full((6,), 0.2).double())
        a, b = (torch.stack([rule(J) for _ in range(2000)]) for rule in (mine, theirs))
    assert ((a.mean(0) - b.mean(0)).abs() <= 5 * (2 / 2000) ** 0.5 * b.std(0) + 1e-12).all()


def test_random_numbers() -> None:
    key, step = random_key(3), torch.tensor(0)
    uniform, other = random_uniform(key, step, 100_000), random_uniform(key, step + 1, 100_000)
    assert uniform.min() > 0
    assert uniform.max() < 1
    counts = torch.histc(uniform, bins=50, min=0, max=1)
    assert ((counts - 2000) ** 2 / 2000).sum() < 49 + 5 * 98**0.5  # chi-squared with 49 degrees of freedom
    for pair in (
        (uniform, other),
        (uniform[1:], uniform[:-1]),
        (uniform, random_uniform(random_key(4), step, 100_000)),
    ):
        assert abs(torch.corrcoef(torch.stack(pair))[0, 1]) < 5 / 100_000**0.5
    normals = random_normal(key, step, 100_000)
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((normals**power).mean() - moment) < 5 * (spread / 100_000) ** 0.5
    assert torch.equal(random_uniform(key, step, 10), uniform[:10])  # a cell's number does not depend on how many


@pytest.mark.parametrize("gradients", [torch.ones(4), torch.ones(4, 3, dtype=torch.int64), torch.ones(4, 3) * 1j])
@pytest.mark.parametrize("name", ["trimmed_mean", "grad_drop"])
def test_wrong_gradients(name: str, gradients: torch.Tensor) -> None:
    got = f"{list(gradients.shape)} in {gradients.dtype}"
    message = f"gradients need the shape [..., T, P] and a floating-point dtype, got {got}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        aggregation.make(name)(gradients)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("trimmed_mean", {"num_trimmed": -1}, "TrimmedMean needs num_trimmed >= 0, got num_trimmed=-1"),
        ("grad_drop", {"leak": 1.5}, "GradDrop needs 0 <= leak <= 1, got leak=1.5"),
        ("grad_drop", {"leak": [0, float("nan")]}, "GradDrop needs 0 <= leak <= 1, got leak=[0, nan]"),
        ("grad_drop", {"seed": -1}, "GradDrop needs 0 <= seed < 2^63, got seed=-1"),
    ],
)
def test_mistakes(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        aggregation.make(name, **arguments)
