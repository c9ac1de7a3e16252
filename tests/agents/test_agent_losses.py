"""The losses: what they read, what they equal."""

import numpy as np
import pytest
import torch

from mtrl.agents.losses import Gaussian
from mtrl.agents.networks import NetworkParameters
from mtrl.agents.values import CategoricalValue, ScalarValue
from tests.agents.conftest import ACTION, make_batch, make_config, make_learner, target_of


def lifted(parameters, num_tasks=3) -> NetworkParameters:
    """Of the first replica."""
    return NetworkParameters(*({name: t[0] for name, t in group.items()} for group in parameters)).of_tasks(num_tasks)


def critic_loss(learner, batch, task=0, alpha=0.2):
    parameters = learner.critic.parameters, target_of(learner), learner.actor.parameters
    critic, *frozen = (lifted(each) for each in parameters)
    first, temperatures = type(batch)(*(x[0] for x in batch)), torch.full((3,), alpha)
    noise = torch.zeros_like(first.action)
    return learner.functions.critic_loss({}, *critic, frozen, first, temperatures, learner.action_mask[0], noise)[0][
        task
    ]


@pytest.mark.parametrize("value", ["scalar", "categorical", "hl_gauss"])
def test_critic_target_takes_next_action_from_next_observation(value):
    learner, batch = make_learner(make_config(agent={"value": value})), make_batch()
    for (
        name,
        tensor,
    ) in learner.actor.parameters.own.items():  # the first heads are near zero: make the policy depend on its input
        learner.actor.parameters.own[name] = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
    # With critics that see the action alone, the loss can change with an observation only through the next action.
    for name, tensor in [*learner.critic.parameters.shared.items(), *target_of(learner).shared.items()]:
        if name.endswith("layer0.weight"):
            tensor[..., :7, :] = 0
    loss = critic_loss(learner, batch)
    assert torch.equal(loss, critic_loss(learner, batch._replace(observation=batch.observation + 1)))
    assert not torch.equal(loss, critic_loss(learner, batch._replace(next_observation=batch.next_observation + 1)))


def test_critic_bootstraps_unless_terminated():
    """Scalar critic, closed form: the target is r + 0.99 (min Q' - alpha log pi), or r alone after a terminal step."""
    learner, batch = make_learner(make_config(agent={"value": "scalar"})), make_batch()
    rows = type(batch)(*(x[0] for x in batch))
    mean, log_std = learner.functions.policy({}, *lifted(learner.actor.parameters), rows.next_observation)
    action, log_density = (
        x[0] for x in Gaussian(mean, log_std).sample(torch.zeros_like(rows.action), torch.ones(ACTION))
    )

    def outputs(observation, action):
        """Of both critics for the first task, by the network as it is written: for one task."""
        x, network = torch.cat([observation, action], -1), learner.functions.critic.network
        for twin in (0, 1):
            shared = {name: t[0, twin] for name, t in learner.critic.parameters.shared.items()}
            own = {name: t[0, twin, 0] for name, t in learner.critic.parameters.own.items()}
            yield network({}, shared, own, x).squeeze(-1)

    rows = type(batch)(*(x[0] for x in rows))
    next_q = torch.min(*outputs(rows.next_observation, action))
    q = list(outputs(rows.observation, rows.action))
    for terminated in (0.0, 1.0):
        target = rows.reward + 0.99 * (1 - terminated) * (next_q - 0.2 * log_density)
        expected = sum(((x - target) ** 2).mean() for x in q)
        discount = torch.full_like(batch.discount, 0.99 * (1 - terminated))
        torch.testing.assert_close(critic_loss(learner, batch._replace(discount=discount)), expected)


def test_log_density_is_that_of_the_squashed_gaussian():
    generator = torch.Generator().manual_seed(0)
    mean, log_std, noise = (torch.randn(50, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    action, log_density = Gaussian(mean, log_std).sample(noise, torch.ones(4))
    normal = torch.distributions.Normal(mean, log_std.exp())
    expected = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform(cache_size=1))
    inside = (action.abs() < 1 - 1e-9).all(-1)  # the inverse of tanh that the expected value needs loses its digits
    torch.testing.assert_close(log_density[inside], expected.log_prob(action).sum(-1)[inside], rtol=1e-6, atol=1e-6)
    far = Gaussian(torch.full((1, 4), 40.0), torch.zeros(1, 4)).sample(torch.zeros(1, 4), torch.ones(4))[1]
    assert torch.isfinite(far).all()


def test_exploration_draws_from_the_policy():
    learner, batch = make_learner(make_config()), make_batch()
    noise = torch.randn(batch.action.shape, generator=torch.Generator().manual_seed(1))
    mean, log_std = learner.functions.policy({}, *lifted(learner.actor.parameters), batch.observation[0])
    drawn, _ = Gaussian(mean, log_std).sample(noise[0], torch.ones(ACTION))
    torch.testing.assert_close(learner.act(batch.observation, noise)[0], drawn)


def test_projection_equals_algorithm_1_of_c51():
    head = CategoricalValue(21, 5.0)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(21), 6)
    points = generator.normal(0, 4, (6, 21))
    spacing, expected = 0.5, np.zeros((6, 21))
    for row in range(6):
        for p, z in zip(probabilities[row], points[row], strict=True):
            b = (np.clip(z, -5, 5) + 5) / spacing
            low, high = int(np.floor(b)), int(np.ceil(b))
            expected[row, low] += p * (high - b) if high > low else p
            if high > low:
                expected[row, high] += p * (b - low)
    projected = head.project(torch.tensor(probabilities), torch.tensor(points))
    np.testing.assert_allclose(projected.numpy(), expected, atol=1e-12)


def test_categorical_loss_is_least_when_the_prediction_is_the_target():
    head = CategoricalValue(21, 5.0)
    generator = torch.Generator().manual_seed(0)
    following = torch.randn(2, 6, 21, generator=generator)
    reward, bonus = torch.randn(2, 6, generator=generator).unbind(0)
    discount = torch.full((6,), 0.9)
    probabilities = 0.5 * (following[0].softmax(-1) + following[1].softmax(-1))
    target = head.project(probabilities, reward[:, None] + 0.9 * (head.support(reward) + bonus[:, None]))
    best = target.clamp(min=1e-30).log().expand(2, -1, -1)
    least = head.loss(best, following, reward, discount, bonus)
    entropy = -(target * target.clamp(min=1e-30).log()).sum(-1).mean()
    torch.testing.assert_close(least, 2 * entropy)
    assert head.loss(following, following, reward, discount, bonus) > least


def test_scalar_value_is_the_smaller_of_the_twins():
    first, second = torch.tensor([[1.0], [4.0]]), torch.tensor([[2.0], [3.0]])
    assert ScalarValue().value(torch.stack((first, second))).tolist() == [1.0, 3.0]
