"""Seeds side by side: each draws what it draws alone, and is the run of its seed alone up to rounding."""

import json
from pathlib import Path

import pytest
import torch

from mtrl import aggregation
from mtrl.agents import Config, UserError, train
from mtrl.agents.replica_states import take
from mtrl.aggregation.solvers.random_stream import random_key
from mtrl.runs import checkpoint
from tests.agents.conftest import make_batch, make_config, make_learner, parameters_of
from tests.agents.test_agent_training import make as make_run
from tests.oracles.rounding import rounding_by_shape

SEEDS = (3, 5, 8)
CALM = {"sdm_grad": {"learning_rate": 0.1}}
"""Its default steps do not settle: the smallest rounding grows."""


@pytest.fixture(autouse=True)
def _products_round_by_shape():
    """What is claimed here holds on any processor."""
    with rounding_by_shape():
        yield


def batches(step: int):
    own = [make_batch(seed=10 * step + seed) for seed in SEEDS]
    return own, type(own[0])(*(torch.cat(parts) for parts in zip(*own, strict=True)))


@pytest.mark.parametrize("name", aggregation.METHODS)
def test_each_replica_is_the_learner_of_its_seed_alone(name):
    """Whatever the method keeps or draws: parameters to rounding, random numbers and steps bit for bit."""
    config = make_config(
        method={"name": name, **CALM.get(name, {})},
        agent={"actor_every": 2, "max_grad_norm": 0.5, "reset_every_updates": 4, "temperature": "shared"},
    )
    together = make_learner(config, seeds=SEEDS)
    alone = [make_learner(config, seeds=(seed,)) for seed in SEEDS]
    for step in range(6):
        own, joined = batches(step)
        metrics = together.update(joined)
        for index, learner in enumerate(alone):
            single = learner.update(own[index])
            for ours, theirs in zip(take(metrics, index), single, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-4, equal_nan=True)
    for index, learner in enumerate(alone):
        ours, theirs = together.state_dict(index), learner.state_dict(0)
        torch.testing.assert_close(ours["parameters"], theirs["parameters"], rtol=2e-3, atol=1e-4)
        torch.testing.assert_close(ours["methods"], theirs["methods"], rtol=2e-3, atol=1e-4)
        assert torch.equal(ours["generator"], theirs["generator"])
        assert ours["num_updates"] == theirs["num_updates"] == 6


DRAWING = [name for name in aggregation.METHODS if "seed" in aggregation.hyperparameters(name)]


@pytest.mark.parametrize("name", DRAWING)
def test_a_seed_decides_what_the_methods_of_critic_and_actor_draw(name):
    learner = make_learner(make_config(method={"name": name}), seeds=SEEDS)
    keys = torch.cat([component.method.get_buffer("key") for component in (learner.critic, learner.actor)])
    assert len(keys.unique()) == 2 * len(SEEDS)
    given = make_learner(make_config(method={"name": name, "seed": 4}), seeds=SEEDS)
    assert torch.equal(given.actor.method.get_buffer("key"), random_key(4).expand(3))


@pytest.mark.parametrize("name", DRAWING)
def test_a_state_of_0_2_0_goes_on_with_its_one_key(name):
    """Whatever the number of replicas, which all had the key of `seed`."""
    config, given = make_config(method={"name": name}), make_config(method={"name": name, "seed": 0})
    (batch, *_), _ = batches(0)
    joined = type(batch)(*(torch.cat([x, x]) for x in batch))
    begun = make_learner(given)
    begun.update(batch)
    old = begun.state_dict(0)
    for method in old["methods"]:
        method["key"] = random_key(0)
    resumed, expected = make_learner(config, seeds=(0, 1)), make_learner(given, seeds=(0, 1))
    resumed.load_state_dict([old, old])
    expected.load_state_dict([begun.state_dict(0)] * 2)
    for learner in (resumed, expected):
        learner.update(joined)
    for ours, theirs in zip(parameters_of(resumed), parameters_of(expected), strict=True):
        assert torch.equal(ours, theirs)


def test_replicas_differ_and_do_not_touch_each_other():
    learners = [make_learner(make_config(method={"name": "nash_mtl"}), seeds=SEEDS) for _ in range(2)]
    _, joined = batches(0)
    reward = joined.reward.clone()
    reward[1] += 1
    learners[0].update(joined)
    learners[1].update(joined._replace(reward=reward))
    for first, second in zip(*(learner.critic.parameters.tensors() for learner in learners), strict=True):
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[2], second[2])
    name = "layer0.weight"
    assert not torch.equal(learners[0].critic.parameters.shared[name][1], learners[1].critic.parameters.shared[name][1])
    assert not torch.equal(learners[0].critic.parameters.shared[name][0], learners[0].critic.parameters.shared[name][2])


def test_states_of_different_updates_do_not_join():
    learner = make_learner(make_config())
    first = learner.state_dict(0)
    learner.update(make_batch())
    with pytest.raises(ValueError, match=r"needs 2 states of one number of updates, got \[0, 1\]"):
        make_learner(make_config(), seeds=(0, 1)).load_state_dict([first, learner.state_dict(0)])


def make(**changes) -> Config:
    """On the analytic tasks: what replicas share is not the simulator."""
    training = {"replay_capacity_per_task": 30}  # which goes round
    return make_run(env={"tasks": "Points", "num_workers": 0}, training=training, **changes)


def folders(root: Path, seeds=SEEDS) -> dict[int, Path]:
    return {seed: root / f"seed_{seed}" for seed in seeds}


def states(root: Path) -> list[dict]:
    return [checkpoint.load_newest(folder / "checkpoints") for folder in folders(root).values()]


def tensors(state: dict) -> list[torch.Tensor]:
    return [t for part in state["agent"]["parameters"].values() for t in part] + state["replay"]["rows"]


def test_three_seeds_train_as_each_alone_and_resume_bit_for_bit(tmp_path):
    config = make(method={"name": "nash_mtl", "update_every": 3}, agent={"n_step": 2})
    told = []
    result = train(config, folders(tmp_path / "straight"), on_event=lambda event, seed: told.append(seed))
    assert result.complete
    assert set(told) >= set(SEEDS)
    for stop in (88, 168):
        assert train(make_stop(config, stop), folders(tmp_path / "resumed"), resume=True).step == stop
    train(config, folders(tmp_path / "resumed"), resume=True)
    for straight, resumed in zip(states(tmp_path / "straight"), states(tmp_path / "resumed"), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(straight), tensors(resumed), strict=True))

    train(config, {5: tmp_path / "alone" / "seed_5"})
    runs = tmp_path / "straight", tmp_path / "alone"
    for step in (120, 240):  # what is drawn is equal to the last digit
        together, alone = (checkpoint.load(run / "seed_5/checkpoints", step) for run in runs)
        assert torch.equal(together["noise"]["current"], alone["noise"]["current"])
        assert torch.equal(together["batches"], alone["batches"])
        assert torch.equal(together["agent"]["generator"], alone["agent"]["generator"])
        if step == 120:  # what is computed, up to rounding, which learning amplifies
            for ours, theirs in zip(tensors(together), tensors(alone), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-3)
            warm = [part[:, :10] for part in together["replay"]["rows"]]  # warm-up steps are replayed exactly
            assert all(torch.equal(x, y[:, :10]) for x, y in zip(warm, alone["replay"]["rows"], strict=True))
    lines = (tmp_path / "straight/seed_5/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["start", "train", "train", "train"]


def make_stop(config, steps):
    return config.model_copy(update={"steps": steps})


def test_seeds_at_different_steps_go_on_from_where_they_can(tmp_path):
    """One is finished, one is new, two were killed while the checkpoints were written."""
    config = make()
    everything = folders(tmp_path, (0, 1, 2, 3))
    train(config, {0: everything[0]})
    train(config, {1: everything[1], 2: everything[2]})
    newest = checkpoint.steps(everything[1] / "checkpoints")[-1]
    (everything[1] / "checkpoints" / f"{newest:012d}.pt").unlink()
    longer = make_stop(config, 280)
    starts = {}

    def on_event(event, seed):
        if event["kind"] == "start":
            starts[seed] = event["step"]

    result = train(longer, {seed: everything[seed] for seed in (1, 2)}, resume=True, on_event=on_event)
    assert result.complete
    assert starts == {1: 120, 2: 120}  # of the last checkpoint that both have
    result = train(longer, everything, resume=True, on_event=on_event)
    assert (result.complete, result.step) == (True, 280)
    assert starts == {0: 240, 1: 120, 2: 120, 3: 0}
    with pytest.raises(UserError, match="never overwritten"):
        train(longer, everything)
