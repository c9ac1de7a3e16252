"""Critics that are distributions: HL-Gauss in closed form, the projection of C51 at its edges."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mtrl.agents.config import AgentConfig
from mtrl.agents.values import CategoricalValue, GaussianHistogramValue, make_value_head


def test_a_configuration_names_the_distribution_and_its_support():
    for value, kind in (("categorical", CategoricalValue), ("hl_gauss", GaussianHistogramValue)):
        config = AgentConfig.model_validate({"value": value, "num_atoms": 11, "value_limit": 2.0})
        assert make_value_head(config) == kind(11, 2.0)


def test_histogram_of_a_hand_case():
    """Three bins of width 1 around -1, 0, 1; the Gaussian around 0.25 has standard deviation 0.75."""
    cdf = stats.norm(0.25, 0.75).cdf([-1.5, -0.5, 0.5, 1.5])
    expected = np.diff(cdf) / (cdf[-1] - cdf[0])
    histogram = GaussianHistogramValue(3, 1.0).histogram(torch.tensor([0.25], dtype=torch.float64))
    np.testing.assert_allclose(histogram[0].numpy(), expected, atol=1e-14)


def test_the_mean_of_a_histogram_is_its_target():
    """To 1e-4 of a bin: what sampling a Gaussian of 0.75 bins at whole bins can lose, exp(-2 (0.75 pi)^2) in all."""
    head = GaussianHistogramValue(101, 10.0)
    target = torch.linspace(-9, 9, 1001, dtype=torch.float64)
    histogram = head.histogram(target)
    torch.testing.assert_close(histogram.sum(-1), torch.ones_like(target))
    mean = histogram @ torch.linspace(-10, 10, 101, dtype=torch.float64)
    torch.testing.assert_close(mean, target, rtol=0, atol=1e-4 * 0.2)
    outputs = histogram.clamp(min=1e-300).log().expand(2, -1, -1)
    torch.testing.assert_close(head.value(outputs), mean)


def test_a_target_beyond_the_support_counts_as_its_end():
    head = GaussianHistogramValue(21, 5.0)
    inside, outside = head.histogram(torch.tensor([-5.0, 5.0])), head.histogram(torch.tensor([-50.0, 1e9]))
    assert torch.equal(inside, outside)
    assert torch.allclose(inside[0], inside[1].flip(-1), atol=1e-6)
    assert inside[0].argmax() == 0


def test_loss_is_the_cross_entropy_with_the_histogram_of_the_bootstrapped_mean():
    head = GaussianHistogramValue(21, 5.0)
    generator = torch.Generator().manual_seed(0)
    outputs, following = torch.randn(2, 2, 6, 21, generator=generator, dtype=torch.float64)
    reward, bonus = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    discount = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.9, 0.0], dtype=torch.float64)
    support = torch.linspace(-5, 5, 21, dtype=torch.float64)
    mean = 0.5 * sum((f.softmax(-1) * support).sum(-1) for f in following)
    target = reward + discount * (mean + bonus)
    edges = np.linspace(-5.25, 5.25, 22)
    cdf = stats.norm(target[:, None].numpy(), 0.75 * 0.5).cdf(edges)
    histogram = torch.tensor(np.diff(cdf, axis=-1) / (cdf[:, -1:] - cdf[:, :1]))
    expected = -sum((histogram * f.log_softmax(-1)).sum(-1) for f in outputs).mean()
    torch.testing.assert_close(head.loss(outputs, following, reward, discount, bonus), expected)
    least = head.loss(histogram.clamp(min=1e-30).log().expand(2, -1, -1), following, reward, discount, bonus)
    assert least < expected


@pytest.mark.parametrize("head", [CategoricalValue(11, 2.0), GaussianHistogramValue(11, 2.0)], ids=["c51", "hl_gauss"])
def test_no_gradient_flows_into_the_target_and_its_fixed_point_is_the_return(head):
    """A critic trained on reward 0.1 and discount 0.9 from itself values the state at 1."""
    outputs = torch.zeros(2, 1, 11, requires_grad=True)
    following = torch.zeros(2, 1, 11, requires_grad=True)
    reward, discount, bonus = torch.tensor([0.1]), torch.tensor([0.9]), torch.zeros(1)
    head.loss(outputs, following, reward, discount, bonus).backward()
    assert following.grad is None
    optimizer = torch.optim.Adam([outputs], 0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        head.loss(outputs, outputs.detach(), reward, discount, bonus).backward()
        optimizer.step()
    assert head.value(outputs.detach()).item() == pytest.approx(1.0, abs=0.02)


def test_projection_keeps_mass_and_mean_and_survives_nan():
    head = CategoricalValue(21, 5.0)
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(50, 21, generator=generator, dtype=torch.float64).softmax(-1)
    points = 3 * torch.rand(50, 21, generator=generator, dtype=torch.float64) - 1.5
    projected = head.project(probabilities, points)
    torch.testing.assert_close(projected.sum(-1), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(projected @ head.support(points), (probabilities * points).sum(-1))
    ends = head.project(probabilities[:2], torch.tensor([[math.inf], [-9.0]], dtype=torch.float64).expand(2, 21))
    assert ends[0, -1] == pytest.approx(1)
    assert ends[1, 0] == pytest.approx(1)
    # A diverged critic must reach the check for it, not an index out of bounds.
    assert head.project(probabilities[:1], torch.full((1, 21), math.nan, dtype=torch.float64)).isnan().any()
