"""Replay and reward scale."""

import numpy as np
import pytest
import torch

from agents.exploration import CorrelatedNoise
from agents.replay import Replay
from agents.reward_scale import ReturnScale


def filled(vector_steps, capacity=12, num_envs=2):
    """A replay whose every number says which task, environment and step it came from; 1-based, so 0 is unwritten."""
    replay = Replay(3, capacity, num_envs, 2, 1, torch.device("cpu"))
    for step in range(vector_steps):
        label = 1000 * (1 + np.arange(3)[:, None]) + 100 * np.arange(num_envs) + step
        o = np.stack([label, label], -1)
        replay.add(o, label[..., None], label, o + 0.5, np.zeros_like(label))
    return replay


@pytest.mark.parametrize("vector_steps", [1, 5, 6, 7, 20])
def test_only_written_rows_of_the_right_task_are_drawn(vector_steps):
    replay = filled(vector_steps)
    batch = replay.sample(500, torch.Generator().manual_seed(0))
    assert len(replay) == min(12, 2 * vector_steps)
    newest = range(max(0, vector_steps - 6), vector_steps)
    for task in range(3):
        expected = {1000.0 * (1 + task) + 100 * e + step for e in range(2) for step in newest}
        assert set(batch.reward[task].tolist()) == expected
    assert torch.equal(batch.observation[..., 0], batch.reward)
    assert torch.equal(batch.action[..., 0], batch.reward)
    assert torch.equal(batch.next_observation, batch.observation + 0.5)


def test_empty_replay_and_too_small_capacity_are_errors():
    with pytest.raises(ValueError, match="the replay is empty"):
        filled(0).sample(1, torch.Generator())
    with pytest.raises(ValueError, match="replay_capacity_per_task must be at least num_envs_per_task=2, got 1"):
        filled(0, capacity=1)


def test_replay_state_round_trip():
    replay, other = filled(7), filled(0)
    other.load_state_dict(replay.state_dict())
    a, b = (r.sample(64, torch.Generator().manual_seed(1)) for r in (replay, other))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_return_scale_is_the_largest_discounted_return_of_finished_episodes():
    generator = np.random.default_rng(0)
    rewards = generator.normal(size=(2, 3, 10))  # two tasks, three environments, two episodes of five steps
    scale = ReturnScale(2, 3, 0.9)
    assert scale.factor(10.0).tolist() == [1.0, 1.0]
    for step in range(10):
        scale.add(rewards[:, :, step], np.full((2, 3), step % 5 == 4))
        if step < 4:
            assert (scale.largest == 0).all()
    expected = [
        max(
            abs(sum(0.9**k * rewards[task, e, start + k] for k in range(end - start)))
            for e in range(3)
            for end in (5, 10)
            for start in range(end - 5, end)
        )
        for task in range(2)
    ]
    np.testing.assert_allclose(scale.largest, expected)
    np.testing.assert_allclose(scale.factor(10.0), 10 / np.array(expected))


def test_correlated_noise_is_standard_normal_at_each_step_and_correlated_between_steps():
    noise = CorrelatedNoise((10, 100, 4), 0.8, torch.device("cpu"), 0)
    steps = torch.stack([noise.next() for _ in range(50)])
    assert abs(steps.mean()) < 0.02
    assert abs(steps.var() - 1) < 0.02
    assert abs((steps[1:] * steps[:-1]).mean() - 0.8) < 0.02
    uniform = torch.stack([noise.next_uniform() for _ in range(50)])
    assert abs(uniform.var() - 1 / 3) < 0.01
