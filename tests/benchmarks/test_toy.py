"""The papers' toy problem: its losses and front, and what Nash-MTL and a fixed weighting make of it."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mtrl.aggregation import DBMTL, ExcessMTL, LinearScalarization, Method, MoCo, NashMTL
from mtrl.benchmarks.toy import STARTS, Descent, aggregated, descend, pareto_set, toy_gradients, toy_losses
from tests.existing import existing

SCALES = torch.tensor([0.1, 1.0], dtype=torch.float64)


def starts() -> Tensor:
    return torch.tensor(STARTS, dtype=torch.float64)


def published(x1: float, x2: float) -> tuple[float, float]:
    """Both losses as the paper writes them (Liu et al. 2021, appendix): not by the mirror image."""
    f1 = math.log(max(abs(0.5 * (-x1 - 7) - math.tanh(-x2)), 5e-6)) + 6
    f2 = math.log(max(abs(0.5 * (-x1 + 3) + math.tanh(-x2) + 2), 5e-6)) + 6
    g1 = ((-x1 + 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    g2 = ((-x1 - 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    c1, c2 = max(math.tanh(0.5 * x2), 0), max(math.tanh(-0.5 * x2), 0)
    return f1 * c1 + g1 * c2, f2 * c1 + g2 * c2


def random_points(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 20 * torch.rand(number, 2, generator=generator, dtype=torch.float64) - 10


def test_losses_are_the_papers() -> None:
    points = random_points(200)
    expected = torch.tensor([published(*point) for point in points.tolist()], dtype=torch.float64)
    torch.testing.assert_close(toy_losses(points), expected)
    torch.testing.assert_close(toy_losses(points.view(4, 50, 2)), expected.view(4, 50, 2))


def test_gradients_are_those_of_each_loss_at_each_point() -> None:
    points, scales = random_points(12).view(3, 4, 2), torch.tensor([0.1, 1.0], dtype=torch.float64)
    gradients, losses = toy_gradients(points, scales)
    torch.testing.assert_close(losses, toy_losses(points) * scales)
    for i in range(3):
        for j in range(4):
            alone = torch.autograd.functional.jacobian(lambda p: toy_losses(p) * scales, points[i, j])
            torch.testing.assert_close(gradients[i, j], alone)


def test_pareto_set() -> None:
    x1 = torch.linspace(-7, 7, 29, dtype=torch.float64)
    front = pareto_set(x1)
    gradients, losses = toy_gradients(front, torch.ones(2, dtype=torch.float64))
    # Stationary: a convex combination of the gradients vanishes; a task is at its best at either end.
    weights = torch.stack((7 + x1, 7 - x1), -1) / 14
    torch.testing.assert_close((weights.unsqueeze(-2) @ gradients).squeeze(-2), torch.zeros_like(front))
    assert (losses[1:, 0] < losses[:-1, 0]).all()
    assert (losses[1:, 1] > losses[:-1, 1]).all()
    # The published line x2 = -8.3552 is the set in the middle, and a front drawn along it is off by less than 1e-3.
    assert front[14, 1].item() == pytest.approx(-8.3552, abs=1e-4)
    line = torch.stack((x1, torch.full_like(x1, -8.3552)), -1)
    assert (toy_losses(line) - losses).abs().max() < 1e-3
    # No point anywhere is better for both tasks than a point of the front.
    somewhere = toy_losses(torch.cartesian_prod(*[torch.linspace(-11, 11, 89, dtype=torch.float64)] * 2))
    assert not (somewhere.unsqueeze(1) < losses - 1e-9).all(-1).any()


def assert_nash_facts(trajectory: Tensor, mirror: float) -> None:
    """What the paper shows of Nash-MTL: `[steps + 1, 2 scales, 5 starts, 2]`."""
    ends = trajectory[-1]
    torch.testing.assert_close(ends[..., 1], pareto_set(ends[..., 0])[..., 1], rtol=0, atol=0.02)
    assert (ends[..., 0].abs() < 7).all()
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0.01)
    assert ends[:, 1, 0].abs().max() < 1e-3
    torch.testing.assert_close(ends[:, 0, 0], -ends[:, 2, 0], rtol=0, atol=mirror)


def test_nash_ends_on_the_front_at_the_same_points_for_both_scales() -> None:
    """A tenth of the steps, ten times as long: proves all but where on the front the runs end (see the slow test)."""
    assert_nash_facts(descend(NashMTL(), starts(), SCALES, steps=3_500, lr=1e-2, max_norm=1), mirror=0.2)


@pytest.mark.slow
def test_nash_as_published() -> None:
    """35 thousand steps of 1e-3, half a minute to one: the end points themselves.

    With longer steps the runs from the
    first and the third start pass the valleys elsewhere and end at x1 = -4.1 and 4.3.
    """
    trajectory = descend(NashMTL(), starts(), SCALES, max_norm=1)
    assert_nash_facts(trajectory, mirror=0.01)
    expected = torch.tensor([-2.932, 0.0, 2.929, -3.289, 4.891], dtype=torch.float64)
    torch.testing.assert_close(trajectory[-1, ..., 0], expected.expand(2, 5), rtol=0, atol=0.01)


def test_mirrored_starts_stay_mirrored_and_scales_side_by_side() -> None:
    """Exchanging the tasks mirrors the problem, and a factor on one loss is nothing to Nash.

    Not from (0, 0): there the
    force in x1 is nothing but rounding, and Adam makes whole steps of it.
    """
    mirror = torch.tensor([-1.0, 1.0])
    away = starts()[[0, 2, 3, 4]]
    trajectory = descend(NashMTL(), torch.cat((away, away * mirror)), SCALES, steps=500, lr=1e-2, max_norm=1)
    torch.testing.assert_close(trajectory[:, :, 4:] * mirror, trajectory[:, :, :4], rtol=0, atol=1e-9)
    torch.testing.assert_close(trajectory[:, 0], trajectory[:, 1], rtol=0, atol=1e-9)


def test_linear_scalarization_collapses_towards_one_task() -> None:
    """At scale 0.1 every run that gets to the front ends where `0.1 L1 + L2` is least: x1 = -7 (1 - 0.1) / (1 + 0.1).

    The third start is left out: it is on its way for far longer.
    """
    arriving = starts()[[0, 1, 3, 4]]
    ends = descend(LinearScalarization(), arriving, SCALES[:1], steps=7_000, lr=1e-2)[-1, 0]
    torch.testing.assert_close(ends[:, 0], torch.full_like(ends[:, 0], -63 / 11), rtol=0, atol=1e-3)
    own_best = toy_losses(pareto_set(torch.tensor([7.0, -7.0], dtype=torch.float64))).diagonal()
    shortfall = toy_losses(ends) - own_best
    assert (shortfall[:, 1] < 0.2).all()
    assert (shortfall[:, 0] > 16).all()


@pytest.mark.parametrize("kind", [NashMTL, LinearScalarization, MoCo, DBMTL, ExcessMTL])
def test_runs_side_by_side_do_not_touch(kind: Callable[[], Method]) -> None:
    together = descend(kind(), starts(), SCALES, steps=50, lr=1e-2)
    for scale in range(2):
        for start in range(5):
            alone = descend(kind(), starts()[[start]], SCALES[[scale]], steps=50, lr=1e-2)
            torch.testing.assert_close(alone[:, 0, 0], together[:, scale, start], rtol=0, atol=1e-9)


def test_clip_belongs_to_the_step() -> None:
    gradients, losses = toy_gradients(starts(), torch.ones(2, dtype=torch.float64))
    update = aggregated(NashMTL(), gradients, losses)
    torch.testing.assert_close(update.norm(dim=-1), torch.full((5,), math.sqrt(2), dtype=torch.float64))
    for most in (0.5, 2.0):
        descent = Descent(NashMTL(), starts(), SCALES, max_norm=most)
        descent.steps(1)
        taken = existing(descent.points.grad)
        expected = torch.full((2, 5), min(most, math.sqrt(2)), dtype=torch.float64)
        torch.testing.assert_close(taken.norm(dim=-1), expected)
