"""Replay and reward scale."""

from typing import Any

import numpy as np
import pytest
import torch

from mtrl.agents.exploration import CorrelatedNoise
from mtrl.agents.replay import Replay
from mtrl.agents.reward_scale import DeviationScale, ReturnScale

SEEDS = 2


def make(capacity, num_envs, **settings) -> Replay:
    """With small rows on the CPU unless the settings say otherwise."""
    base: dict[str, Any] = {"observation_size": 2, "action_size": 1, "device": torch.device("cpu"), "discount": 0.99}
    return Replay(capacity_per_task=capacity, num_envs_per_task=num_envs, **base | settings)


def filled(vector_steps, capacity=12, num_envs=2, num_steps=1, episode=5, terminal=False):
    """A replay whose every number says which seed, task, environment and step it came from; 1-based, 0 is unwritten.

    Episodes end every `episode` steps: truncated, or terminated where `terminal`.
    """
    replay = make(capacity, num_envs, num_replicas=SEEDS, num_tasks=3, discount=0.5, num_steps=num_steps)
    return went_on(replay, 0, vector_steps, episode, terminal)


def went_on(replay, start, stop, episode=5, terminal=False):
    """More vector steps; a step leads to where the next begins, unless the episode ends."""
    num_envs = replay._num_envs
    for step in range(start, stop):
        seeds, tasks = 10_000 * np.arange(SEEDS)[:, None, None], 1000 * (1 + np.arange(3)[:, None])
        label = seeds + tasks + 100 * np.arange(num_envs) + step
        o, done = np.stack([label, label], -1), np.full_like(label, (step + 1) % episode == 0)
        replay.add(o, label[..., None], label, o + np.where(done, 0.5, 1)[..., None], done * terminal, done)
    return replay


def led_to(observation, episode=5):
    """What `went_on` says that steps led to."""
    return observation + torch.where(observation % 100 % episode == episode - 1, 0.5, 1.0)


def generators(seed=0):
    return [torch.Generator().manual_seed(seed + s) for s in range(SEEDS)]


@pytest.mark.parametrize("vector_steps", [1, 5, 6, 7, 20])
def test_only_written_rows_of_the_right_seed_and_task_are_drawn(vector_steps):
    replay = filled(vector_steps)
    batch = replay.sample(500, generators())
    assert len(replay) == min(12, 2 * vector_steps)
    newest = range(max(0, vector_steps - 6), vector_steps)
    for seed in range(SEEDS):
        for task in range(3):
            expected = {10_000 * seed + 1000.0 * (1 + task) + 100 * e + step for e in range(2) for step in newest}
            assert set(batch.reward[seed, task].tolist()) == expected
    assert torch.equal(batch.observation[..., 0], batch.reward)
    assert torch.equal(batch.action[..., 0], batch.reward)
    assert torch.equal(batch.next_observation, led_to(batch.observation))


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("vector_steps", [4, 9, 23])
def test_n_step_returns_stop_at_the_episodes_end_and_at_the_newest_row(vector_steps, terminal):
    """Against the sum written out step by step: three rewards, fewer at an end, whatever the ring's position."""
    batch = filled(vector_steps, capacity=16, num_steps=3, terminal=terminal).sample(200, generators())
    first = batch.observation[..., 0]
    for index in np.ndindex(first.shape):
        label = int(first[index])
        step = label % 100
        last = min(step + 2, step - step % 5 + 4, vector_steps - 1)
        rewards = [label + k for k in range(last - step + 1)]
        assert batch.reward[index] == sum(0.5**k * r for k, r in enumerate(rewards))
        assert batch.next_observation[index][0] == led_to(torch.tensor(rewards[-1]))
        ended = terminal and last % 5 == 4
        assert batch.discount[index] == (0 if ended else 0.5 ** len(rewards))


def test_each_replica_draws_what_it_draws_alone():
    together, alone = filled(7), filled(7)
    batch = together.sample(64, generators())
    for seed in range(SEEDS):
        both = [torch.Generator().manual_seed(seed)] * 2
        assert torch.equal(batch.reward[seed], alone.sample(64, both[:1] + generators(9)[:1]).reward[0] + 10_000 * seed)


def test_empty_replay_and_too_small_capacity_are_errors():
    with pytest.raises(ValueError, match="the replay is empty"):
        filled(0).sample(1, generators())
    with pytest.raises(ValueError, match="replay_capacity_per_task must be at least num_envs_per_task=2, got 1"):
        filled(0, capacity=1)


@pytest.mark.parametrize("episode", [1, 2, 7, 100])
def test_what_rows_led_to_is_kept_through_any_number_of_rounds(episode):
    """Episodes of a step each, so that no row begins where another led to, and longer than the replay."""
    replay = filled(0, capacity=8)
    for step in range(40):
        went_on(replay, step, step + 1, episode)
        batch = replay.sample(60, generators(step))
        assert torch.equal(batch.next_observation, led_to(batch.observation, episode))


def test_where_an_episode_breaks_off_rows_keep_what_they_led_to():
    """As a run does that goes on in new episodes: the rows before do not say that theirs ended."""
    replay = went_on(filled(3), 53, 55)
    assert torch.equal((batch := replay.sample(200, generators())).next_observation, led_to(batch.observation))


def test_n_step_returns_stop_where_an_episode_breaks_off():
    """Before the state is saved once more and after."""
    replay, other = went_on(filled(3, num_steps=3), 53, 55), filled(0, num_steps=3)
    other.load_state_dict([replay.state_dict(seed) for seed in range(SEEDS)])
    for each in (replay, other):
        batch = each.sample(200, generators())
        first = batch.observation[..., 0]
        last = torch.where(first % 100 < 3, 2, 54)
        lengths = last - first % 100 + 1
        assert torch.equal(batch.next_observation[..., 0], led_to(first + lengths - 1))
        assert torch.equal(batch.discount, 0.5**lengths)
        for index in np.ndindex(first.shape):
            assert batch.reward[index] == sum(0.5**k * (first[index] + k) for k in range(int(lengths[index])))


def test_a_million_transitions_of_ten_tasks_fit_into_250_megabytes():
    sizes = {"num_replicas": 1, "num_tasks": 10, "observation_size": 39, "action_size": 4}
    replay = make(100_000, 4, **sizes, device=torch.device("meta"))
    assert sum(rows.nbytes for rows in replay.rows) < 250e6


@pytest.mark.parametrize("vector_steps", [1, 5, 6, 7, 20])
def test_replay_state_round_trip(vector_steps):
    """It draws the same, and does so after more steps, too."""
    replay, other = filled(vector_steps), filled(0)
    other.load_state_dict([replay.state_dict(seed) for seed in range(SEEDS)])
    for _ in range(8):
        a, b = (r.sample(64, generators(1)) for r in (replay, other))
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        for each in (replay, other):
            went_on(each, vector_steps, vector_steps + 1)
        vector_steps += 1


def test_return_scale_is_the_largest_discounted_return_of_finished_episodes():
    generator = np.random.default_rng(0)
    rewards = generator.normal(size=(2, 3, 10))  # two tasks, three environments, two episodes of five steps
    scale = ReturnScale(2, 3, 0.9, limit=10.0)
    assert scale.factor().tolist() == [1.0, 1.0]
    for step in range(10):
        scale.add(rewards[:, :, step], np.full((2, 3), step % 5 == 0), np.full((2, 3), step % 5 == 4))
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
    np.testing.assert_allclose(scale.factor(), 10 / np.array(expected))


def test_return_scale_forgets_an_episode_that_another_follows_before_it_is_done():
    """As in a run that is resumed in new episodes; here in the second of two environments."""
    scale, other = ReturnScale(1, 2, 0.5, limit=10.0), ReturnScale(1, 2, 0.5, limit=10.0)
    scale.add(np.array([[1.0, 100.0]]), np.ones((1, 2), bool), np.zeros((1, 2), bool))
    other.load_state_dict(scale.state_dict())
    other.add(np.ones((1, 2)), np.array([[False, True]]), np.ones((1, 2), bool))
    assert other.largest.tolist() == [1.5]


def test_deviation_scale_brings_rewards_to_unit_variance():
    begun = DeviationScale(1)
    begun.add(np.full((1, 2), 5.0), *np.zeros((2, 1, 2), bool))
    mean = 0.001 * 5  # a thousandth of the way from 0, as the variance goes from 1
    np.testing.assert_allclose(begun.factor(), (0.999 + 0.001 * (5 - mean) ** 2) ** -0.5)
    generator = np.random.default_rng(0)
    scale = DeviationScale(2)
    spread = np.array([[0.1], [30.0]])
    for _ in range(20_000):
        scale.add(5 + spread * generator.normal(size=(2, 4)), *np.zeros((2, 2, 4), bool))
    np.testing.assert_allclose(scale.factor(), 1 / spread[:, 0], rtol=0.1)


def test_correlated_noise_is_standard_normal_at_each_step_and_correlated_between_steps():
    noise = CorrelatedNoise((10, 100, 4), 0.8, torch.device("cpu"), 0)
    steps = torch.stack([noise.next() for _ in range(50)])
    assert abs(steps.mean()) < 0.02
    assert abs(steps.var() - 1) < 0.02
    assert abs((steps[1:] * steps[:-1]).mean() - 0.8) < 0.02
    uniform = torch.stack([noise.next_uniform() for _ in range(50)])
    assert abs(uniform.var() - 1 / 3) < 0.01
