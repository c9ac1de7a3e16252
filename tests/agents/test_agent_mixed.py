"""Tasks of different sizes in one agent: padding counts for nothing, observations are normalised task by task."""

import json

import numpy as np
import pytest
import torch

import tests.envs.registered_tasks  # noqa: F401  CustomReach-v0 is registered with the import
from mtrl import envs
from mtrl.agents import Config, MultiTaskSAC, evaluate, train
from mtrl.agents.export import RowsPolicy
from mtrl.agents.factory import make_learner
from mtrl.agents.learner import MASK, Learner
from mtrl.agents.losses import Batch, Gaussian
from mtrl.agents.normalization import NormalizingLearner
from mtrl.agents.saved_policy import load_policy
from mtrl.agents.scores import normalized, reference, score_means
from mtrl.agents.single_task_sb3 import StableBaselines3Learner
from mtrl.envs import TaskInfo
from mtrl.runs import checkpoint
from mtrl.runs.folder import load_config
from tests.agents.conftest import make_config
from tests.agents.test_agent_single_task import AGENT
from tests.agents.test_agent_training import final_tensors, make

CPU = torch.device("cpu")
LONG, SHORT = TaskInfo("Long-v0", 7, 3, 10, has_success=False), TaskInfo("Short-v0", 5, 2, 10, has_success=False)
BODIES = ("Pendulum-v1", "CustomReach-v0", "reach-v3")


def draw(infos: list[TaskInfo], rows: int = 6, seed: int = 0) -> Batch:
    """`[1, T, B, ...]`, zeros behind each task's own numbers, which do not depend on how long the others' are."""
    longest = max(info.observation for info in infos), max(info.action for info in infos)

    def of_task(info: TaskInfo) -> list[np.ndarray]:
        own = np.random.default_rng([seed, info.observation])
        obs, action, after = (
            own.normal(size=(rows, size)) for size in (info.observation, info.action, info.observation)
        )
        wide = [
            np.pad(x, [(0, 0), (0, longest[k] - x.shape[1])]) for x, k in ((obs, 0), (np.tanh(action), 1), (after, 0))
        ]
        return [wide[0], wide[1], own.normal(size=rows), wide[2], np.full(rows, 0.99)]

    return Batch(
        *(torch.tensor(np.stack(x), dtype=torch.float32)[None] for x in zip(*map(of_task, infos), strict=True))
    )


def learner_of(infos: list[TaskInfo], **agent) -> Learner:
    made = make_learner(make_config(agent=agent, env={"normalized_observations": "none"}), infos, CPU, (0,))
    assert isinstance(made, Learner)
    return made


def test_log_density_is_of_the_tasks_own_numbers_alone():
    generator = torch.Generator().manual_seed(0)
    mean, log_std, noise = torch.randn(3, 5, 4, generator=generator)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0])
    action, density = Gaussian(mean, log_std).sample(noise, mask)
    own_action, own_density = Gaussian(mean[:, :2], log_std[:, :2]).sample(noise[:, :2], torch.ones(2))
    assert torch.equal(action[:, :2], own_action)
    assert torch.equal(action[:, 2:], torch.zeros(5, 2))
    before = torch.distributions.Normal(mean[:, :2], log_std[:, :2].exp())
    tanh = torch.distributions.transforms.TanhTransform(cache_size=1)
    truth = torch.distributions.TransformedDistribution(before, [tanh])
    torch.testing.assert_close(density, truth.log_prob(tanh(mean[:, :2] + log_std[:, :2].exp() * noise[:, :2])).sum(-1))
    torch.testing.assert_close(density, own_density)


def test_target_entropy_counts_the_tasks_own_numbers():
    sizes = torch.tensor([[4, 1, 17]])
    assert Config().agent.target_entropy_of(sizes).tolist() == [[-2.0, -0.5, -8.5]]
    for agent, expected in (
        ({"target_entropy_per_dimension": -1.0}, [[-4.0, -1.0, -17.0]]),
        ({"target_entropy": -3.0}, [[-3.0, -3.0, -3.0]]),
    ):
        assert make_config(agent=agent).agent.target_entropy_of(sizes).tolist() == expected


def _gradients(learner: Learner, name: str, batch: Batch, noise: torch.Tensor):
    """Losses and gradients of one component as `NetworkParameters`, leading axis the replica."""
    alpha, component = torch.full(batch.reward.shape[:2], 0.1), getattr(learner, name)
    frozen = (learner.target, learner.actor.vector) if name == "critic" else (learner.critic.vector,)
    data = (
        (batch, alpha, learner.action_mask, noise)
        if name == "critic"
        else (batch.observation, alpha, learner.action_mask, noise)
    )
    found, _ = component.directions.direction(component.vector, frozen, data, None, False)
    return found, component.layouts[0].views(found.gradient)


@pytest.mark.parametrize("name", ["critic", "actor"])
def test_a_padded_task_has_the_losses_and_gradients_that_it_has_unpadded(name):
    """The wide network's weights that see or make padding have zero gradients; the others' are the narrow network's."""
    wide = Learner(make_config(), 1, LONG.observation, LONG.action, CPU, (0,), [[SHORT.action]])
    narrow = learner_of([SHORT])
    o, a, e = LONG.observation, LONG.action, make_config().agent.conditioning.embedding_size
    seen = {  # rows of the first layer, columns of the last
        "actor": ([*range(SHORT.observation), *range(o, o + e)], [*range(SHORT.action), *range(a, a + SHORT.action)]),
        "critic": ([*range(SHORT.observation), *range(o, o + SHORT.action), *range(o + a, o + a + e)], None),
    }

    def cut(part: str, key: str, tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        rows, columns = seen[part]
        if tensor.shape[-2] != like.shape[-2]:
            tensor = tensor[..., rows, :]
        if tensor.shape[-1] != like.shape[-1]:
            tensor = tensor[..., columns]
        return tensor

    for part in ("critic", "actor"):
        theirs, ours = getattr(wide, part), getattr(narrow, part)
        for group, own in zip(theirs.parameters, ours.parameters, strict=True):
            for key, tensor in own.items():
                tensor.copy_(cut(part, key, group[key], tensor))
    narrow.target.copy_(narrow.critic.vector)
    batch = draw([LONG, SHORT])
    padded = Batch(*(x[:, 1:] for x in batch))
    unpadded = draw([SHORT])
    noise = torch.randn(1, 1, 6, LONG.action, generator=torch.Generator().manual_seed(1))
    found, gradients = _gradients(wide, name, padded, noise)
    expected, plain = _gradients(narrow, name, unpadded, noise[..., : SHORT.action])
    torch.testing.assert_close(found.losses, expected.losses)
    cells = 0
    for group, own in zip(gradients, plain, strict=True):
        for key, tensor in own.items():
            torch.testing.assert_close(cut(name, key, group[key], tensor), tensor, msg=key)
            torch.testing.assert_close(group[key].norm(), tensor.norm(), msg=key)  # so the rest is zero
            cells += group[key].numel() - tensor.numel()
    assert cells > 0


@pytest.mark.parametrize("name", ["critic", "actor"])
def test_padding_moves_no_task(name):
    """Whatever noise falls on the padding, and whatever stands in it, every gradient is the same to the last bit."""
    learner, batch = learner_of([LONG, SHORT]), draw([LONG, SHORT])
    noise = torch.randn(1, 2, 6, 3, generator=torch.Generator().manual_seed(1))
    other = noise.clone()
    other[:, 1, :, 2] = 50.0
    found, _ = _gradients(learner, name, batch, noise)
    again, _ = _gradients(learner, name, batch, other)
    assert torch.equal(found.gradient, again.gradient)
    assert torch.equal(found.losses, again.losses)
    alone = learner_of([LONG, LONG._replace(name="Other-v0")])
    alone.critic.vector.copy_(learner.critic.vector)
    assert torch.equal(_gradients(alone, name, batch, noise)[0].losses[0, 0], found.losses[0, 0])


def test_actions_are_zero_behind_a_tasks_own_numbers():
    learner = learner_of([LONG, SHORT])
    observation = draw([LONG, SHORT]).observation
    for action in (learner.act(observation), learner.act(observation, torch.ones(1, 2, 6, 3))):
        assert (action[:, 0] != 0).all()
        assert (action[:, 1, :, :2] != 0).all()
        assert (action[:, 1, :, 2] == 0).all()


def test_temperatures_are_steered_by_each_tasks_own_entropy():
    """The first step of Adam has the sign of the gradient: up where the entropy is below its target."""
    infos, batch = [LONG, SHORT], draw([LONG, SHORT])
    entropy = learner_of(infos).update(batch).entropy[0]
    middle = float((entropy / torch.tensor([3.0, 2.0])).mean())
    for per_dimension, up in ((middle - 50, False), (middle + 50, True)):
        learner = learner_of(infos, target_entropy_per_dimension=per_dimension)
        before = learner.log_alpha.clone()
        learner.update(batch)
        assert ((learner.log_alpha > before) == up).all()


def _normalizing(one_hot: bool = False, **env) -> NormalizingLearner:
    infos = [LONG, TaskInfo("reach-v3", 5, 2, 500, has_success=True)]
    made = make_learner(make_config(env={"one_hot": one_hot, **env}), infos, CPU, (0,))
    assert isinstance(made, NormalizingLearner)
    return made


def test_observations_are_normalised_by_all_that_was_seen_of_their_task():
    learner, draws = _normalizing(one_hot=True), np.random.default_rng(0)
    seen = []
    for number in range(20):
        rows = draws.normal(number, 1 + number, size=(1, 2, 3, 9))
        rows[..., 1, :, 5:7] = 0.0
        rows[..., 7:] = np.eye(2)[:, None]
        seen.append(torch.tensor(rows, dtype=torch.float32))
        learner.observe(seen[-1])
    before = torch.cat(seen, 2).double().numpy()
    own = before[0, 0, :, :7]
    expected = np.clip((own - own.mean(0)) / np.sqrt(own.var(0) + 1e-8), -10, 10)
    shown = learner._seen(torch.cat(seen, 2))
    np.testing.assert_allclose(shown[0, 0, :, :7], expected, atol=2e-5)
    np.testing.assert_array_equal(shown[0, 0, :, 7:], before[0, 0, :, 7:])  # the one-hot vector
    np.testing.assert_array_equal(shown[0, 1], before[0, 1])  # Meta-World's
    far = learner._seen(torch.full((1, 2, 1, 9), -1e4))[0, :, 0]
    assert far[0].tolist() == [-10.0] * 7 + [-1e4] * 2
    assert far[1].tolist() == [-1e4] * 9


def test_the_policy_holds_what_was_known_when_it_was_taken():
    """Evaluations and exports act on the same numbers as training did, and observing on changes nothing of them."""
    learner, observation = _normalizing(), draw([LONG, SHORT]).observation
    learner.observe(observation * 3 + 1)
    observation[..., 0] = 1e3  # further off than is told apart
    expected = learner.act(observation)[0]
    actor = learner.actor_function(0)
    learner.observe(observation * 100)
    policy = RowsPolicy(actor, 2)
    for task in range(2):
        got = policy(observation[0, task], torch.full((6,), task))
        torch.testing.assert_close(got, expected[task])
    assert not torch.allclose(learner.act(observation)[0, 0], expected[0])


def test_normalisation_of_an_update_is_the_inner_learner_on_normalised_rows():
    learner, inner = _normalizing(), _normalizing().learner
    batch = draw([LONG, SHORT])
    learner.observe(batch.observation * 2)
    told = learner.update(batch)
    rows = batch._replace(
        observation=learner._seen(batch.observation), next_observation=learner._seen(batch.next_observation)
    )
    assert torch.equal(told.critic.loss, inner.update(rows).critic.loss)


def test_what_is_known_of_observations_is_saved():
    learner, other = _normalizing(), _normalizing()
    learner.observe(draw([LONG, SHORT]).observation)
    other.load_state_dict([learner.state_dict(0)])
    for _ in range(2):
        learner.observe(draw([LONG, SHORT], seed=1).observation)
        other.observe(draw([LONG, SHORT], seed=1).observation)
    assert torch.equal(learner.act(draw([LONG, SHORT]).observation), other.act(draw([LONG, SHORT]).observation))


@pytest.mark.parametrize("kind", ["none", "ours", "stable_baselines3"])
def test_a_learner_of_observations_as_they_are_takes_no_state_of_normalised_ones(kind):
    def made(choice):
        config = make_config(agent={**AGENT, "single_task": kind}, env={"normalized_observations": choice})
        return make_learner(config, [LONG, SHORT], CPU, (0,))

    with pytest.raises(ValueError, match="its agent saw normalised observations"):
        made("none").load_state_dict([made("all").state_dict(0)])
    with pytest.raises(KeyError, match="observations"):
        made("all").load_state_dict([made("none").state_dict(0)])


def test_meta_world_is_as_it_was_and_others_are_normalised():
    """By default; no part of the agent knows of padding or normalisation where there is none."""
    metaworld = make_learner(make_config(), envs.task_infos("MT10"), CPU, (0,))
    assert isinstance(metaworld, Learner)
    assert metaworld.action_mask.all()
    assert MASK not in metaworld.actor_function(0).own
    for choice, is_normalised in (("auto", True), ("all", True), ("none", False)):
        made = make_learner(make_config(env={"normalized_observations": choice}), [LONG], CPU, (0,))
        assert isinstance(made, NormalizingLearner) == is_normalised


@pytest.mark.parametrize("kind", ["ours", "stable_baselines3"])
def test_single_task_agents_of_different_sizes_are_those_of_each_task_alone(kind):
    """Their padded actions, deterministic and drawn, are the unpadded agent's; and so after an update."""
    config = make_config(agent={**AGENT, "single_task": kind}, env={"normalized_observations": "none"})
    infos, batch = [LONG, SHORT], draw([LONG, SHORT])
    together, again = (make_learner(config, infos, CPU, (0,)) for _ in range(2))
    noise = torch.randn(1, 2, 6, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        action = together.act(batch.observation, noise)
        for task, theirs in enumerate(together.models[0] if isinstance(together, StableBaselines3Learner) else []):
            rows = batch.observation[0, task, :, : infos[task].observation]
            alone, _ = theirs.predict(rows.numpy(), deterministic=True)
            got = together.act(batch.observation)[0, task, :, : infos[task].action]
            np.testing.assert_allclose(got, alone, atol=1e-6)
        assert (action[:, 1, :, 2] == 0).all()
        assert (action[:, 1, :, :2] != 0).all()
        actor = together.actor_function(0)
        for task in range(2):
            own = {name: tensor[task] for name, tensor in actor.own.items()}
            got = actor.action(actor.shared, own, batch.observation[0, task])
            torch.testing.assert_close(got, together.act(batch.observation)[0, task])
        together.update(batch)
        again.update(batch)
    again.load_state_dict([together.state_dict(0)])
    assert torch.equal(again.act(batch.observation), together.act(batch.observation))


def test_references_of_returns():
    def place(name, mean_return, limit=1000, horizon=1000):
        return normalized(TaskInfo(name, 5, 2, limit, has_success=False), horizon, mean_return)

    assert place("Hopper-v5", 17.0) == 0.0
    assert place("Hopper-v5", 4098.2, horizon=2000) == 1.0
    assert place("dm_control/cheetah-run-v0", 250.0) == 0.25
    assert place("Hopper-v5(forward_reward_weight=2.0)", 17.0) is None
    assert place("Hopper-v5", None) is None


def test_a_reference_is_of_whole_episodes_alone():
    """Returns of episodes that are cut short are on no scale, nor are those of dm_control's tasks beyond the suite."""
    hopper, cheetah = (
        TaskInfo(name, 5, 2, 1000, has_success=False) for name in ("Hopper-v5", "dm_control/cheetah-run-v0")
    )
    without_end = TaskInfo("dm_control/reach_site_features-v0", 5, 2, None, has_success=False)
    shorter = TaskInfo("dm_control/cheetah-run-v0(max_episode_steps=100)", 5, 2, 100, has_success=False)
    beyond = TaskInfo("dm_control/lqr-lqr_2_1-v0(max_episode_steps=1000)", 5, 2, 1000, has_success=False)
    for info, horizon in ((hopper, 999), (cheetah, 100), (without_end, 1000), (shorter, 1000), (beyond, 1000)):
        assert reference(info, horizon) is None
    returns, success = (17.0, 250.0), (0.0, 0.0)
    assert score_means([hopper, cheetah], 1000, success, returns) == {"normalized_return_mean": 0.125}
    assert score_means([hopper, cheetah], 999, success, returns) == {"return_mean": 133.5}


def mixed(**changes) -> Config:
    env = {"tasks": BODIES, "horizon": 25, **changes.pop("env", {})}
    return make(env=env, evaluation={"episodes": 2, "horizon": 10}, **changes)


def test_a_mixed_run_resumes_bit_for_bit_and_shows_both_scores(tmp_path):
    config = mixed(steps=360)
    assert train(config, {3: tmp_path / "straight"}).complete
    for stop in (96, 210):
        train(mixed(steps=stop), {3: tmp_path / "resumed"}, resume=True)
    assert train(config, {3: tmp_path / "resumed"}, resume=True).complete
    for a, b in zip(final_tensors(tmp_path / "straight"), final_tensors(tmp_path / "resumed"), strict=True):
        assert torch.equal(a, b)
    known = [
        checkpoint.load_newest(tmp_path / n / "checkpoints")["agent"]["observations"] for n in ("straight", "resumed")
    ]
    assert all(torch.equal(a, b) for a, b in zip(*known, strict=True))
    rows = checkpoint.load_newest(tmp_path / "straight" / "checkpoints")["replay"]["rows"]
    assert not rows[0][0, :, 3:].any()
    assert not rows[1][0, :, 1:].any()
    assert rows[1][0, :, 0].all()
    lines = [json.loads(line) for line in (tmp_path / "straight" / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"][-1]
    assert set(trained["success"]) == {"CustomReach-v0", "reach-v3"}
    assert set(trained["return"]) == set(BODIES)
    assert {"success_mean", "return_mean"} <= set(trained)
    record = evaluate(tmp_path / "straight")
    assert ["success_any" in row for row in record["tasks"]] == [False, True, True]
    unseen = {"success_any_unseen", "success_final_unseen"}
    assert set(record["mean"]) == {"success_any", "success_final", "mean_return"} | unseen
    assert record["protocol"]["horizon"] == 10
    assert load_policy(tmp_path / "straight", "cpu").infos[0].action == 1


def test_a_run_without_success_never_speaks_of_it(tmp_path):
    config = make(env={"tasks": "Pendulum-v1", "horizon": None}, steps=300, evaluation={"episodes": 2, "horizon": None})
    train(config, {0: tmp_path})
    record = evaluate(tmp_path)
    assert record["protocol"]["horizon"] == 200
    for text in (json.dumps(record), (tmp_path / "metrics.jsonl").read_text()):
        assert "success" not in text
    assert load_config(tmp_path, Config).env.horizon is None


def test_horizons_of_meta_world_alone_are_numbers_and_others_are_their_own():
    assert (Config().env.horizon, Config().evaluation.horizon) == (200, 500)
    own = Config.model_validate({"env": {"tasks": ["Hopper-v5", {"id": "Pendulum-v1", "kwargs": {"g": 9.81}}]}})
    assert (own.env.horizon, own.evaluation.horizon) == (None, None)
    assert own.env.tasks == ("Hopper-v5", "Pendulum-v1(g=9.81)")
    assert Config.model_validate_json(own.model_dump_json()) == own


def test_predict_of_a_mixed_agent(tmp_path):
    with MultiTaskSAC(mixed(steps=120), seed=0) as model:
        model.learn()
        action, _ = model.predict(np.zeros((3, 2, 39)))
        drawn, _ = model.predict(np.zeros((3, 2, 39)), deterministic=False)
    for chosen in (action, drawn):
        assert chosen.shape == (3, 2, 4)
        assert not chosen[0, :, 1:].any()
        assert not chosen[1, :, 2:].any()
