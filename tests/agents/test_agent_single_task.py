"""Single-task baselines: an agent of its own for every task, in one run like any other."""

import json
import shlex
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger

from mtrl import envs
from mtrl.agents import Config, evaluate, train
from mtrl.agents.factory import make_learner
from mtrl.agents.interface import act_alone
from mtrl.agents.learner import Learner
from mtrl.agents.losses import Batch
from mtrl.agents.seeds import task_seeds
from mtrl.cli.main import main
from mtrl.envs import MT10, TaskInfo
from mtrl.report import write_report
from mtrl.runs import checkpoint
from tests.agents.conftest import ACTION, OBSERVATION, make_batch, make_config
from tests.agents.test_agent_training import make

CPU, SEEDS, TASKS = torch.device("cpu"), (3, 5), 3
KINDS = ("ours", "stable_baselines3")
NETWORK = {"kind": "mlp", "width": 16, "depth": 2}
AGENT = {
    "actor": NETWORK,
    "critic": NETWORK,
    "value": "scalar",
    "conditioning": {"encoding": "none"},
    "log_std_min": -20.0,
}

SMALL = shlex.split("""
  --steps 300 --env.horizon 10 --training.warmup_steps 100 --training.batch_per_task 4 --training.threads 1 --device cpu
  --agent.actor.width 16 --agent.critic.width 16 --evaluation.episodes 1 --evaluation.horizon 5
  --training.replay_capacity_per_task 1000
""")


def config_of(kind: str) -> Config:
    return make_config(agent={**AGENT, "single_task": kind})


def learner_of(kind: str, seeds=SEEDS):
    infos = [TaskInfo(name, OBSERVATION, ACTION, 500, has_success=True) for name in MT10[:TASKS]]
    return make_learner(config_of(kind), infos, CPU, seeds)


def batch_of(step: int, num_seeds: int = len(SEEDS)) -> Batch:
    parts = [make_batch(TASKS, seed=10 * step + seed) for seed in range(num_seeds)]
    return Batch(*(torch.cat(fields) for fields in zip(*parts, strict=True)))


def leaves(tree) -> list[torch.Tensor]:
    return [x for x in torch.utils._pytree.tree_leaves(tree) if isinstance(x, torch.Tensor)]


def equal(one, other) -> bool:
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)


def test_each_agent_is_the_learner_of_its_task_alone():
    together = learner_of("ours")
    alone = [
        [Learner(config_of("none"), 1, OBSERVATION, ACTION, CPU, (number,)) for number in task_seeds(seed, TASKS)]
        for seed in SEEDS
    ]
    for step in range(4):
        batch = batch_of(step)
        metrics = together.update(batch)
        for s, t in np.ndindex(len(SEEDS), TASKS):
            own = alone[s][t].update(Batch(*(x[s : s + 1, t : t + 1] for x in batch)))
            torch.testing.assert_close(metrics.critic.loss[s, t], own.critic.loss[0, 0], rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(metrics.entropy[s, t], own.entropy[0, 0], rtol=1e-3, atol=1e-5)
    assert metrics.actor.conflict.conflict_rate.shape == (len(SEEDS),)
    observation = torch.randn(len(SEEDS), TASKS, 4, OBSERVATION)
    action = together.act(observation)
    for s, t in np.ndindex(len(SEEDS), TASKS):
        expected = alone[s][t].act(observation[s : s + 1, t : t + 1])[0, 0]
        torch.testing.assert_close(action[s, t], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_agents_differ_and_do_not_touch_each_other(kind):
    learners, batch = [learner_of(kind) for _ in range(2)], batch_of(0)
    first, second, _ = learners[0].state_dict(0)["tasks"]
    assert not equal(first, second)
    reward = batch.reward.clone()
    reward[1, 2] += 1
    learners[0].update(batch)
    learners[1].update(batch._replace(reward=reward))
    same = [
        [equal(*pair) for pair in zip(*(learner.state_dict(s)["tasks"] for learner in learners), strict=True)]
        for s in range(2)
    ]
    assert same == [[True, True, True], [True, True, False]]


@pytest.mark.parametrize("kind", KINDS)
def test_actions_alone_and_as_a_function(kind):
    learner = learner_of(kind)
    learner.update(batch_of(0))
    observation = torch.randn(len(SEEDS), TASKS, 4, OBSERVATION)
    action = learner.act(observation)
    assert action.shape == (len(SEEDS), TASKS, 4, ACTION)
    for s in range(len(SEEDS)):
        torch.testing.assert_close(act_alone(learner, s, observation[s]), action[s])
        actor = learner.actor_function(s)
        for t in range(TASKS):
            own = {name: x[t] for name, x in actor.own.items()}
            torch.testing.assert_close(actor.action(actor.shared, own, observation[s, t]), action[s, t])
    noise = torch.randn(action.shape)
    assert not torch.allclose(learner.act(observation, noise), action)


def test_stable_baselines3_acts_and_updates_as_it_does_alone():
    """A buffer of one transition, so that their own sampling draws what ours was given."""
    learner, rows = learner_of("stable_baselines3", (3,)), 8
    generator = torch.Generator().manual_seed(3)

    class Env(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATION,), np.float32)
        action_space = gymnasium.spaces.Box(-1, 1, (ACTION,), np.float32)

    c = config_of("stable_baselines3").agent
    alone = SAC(
        "MlpPolicy",
        Env(),
        learning_rate=c.learning_rate,
        policy_kwargs={"net_arch": [16, 16]},
        ent_coef="auto_0.1",
        target_entropy=-0.5 * ACTION,
        device="cpu",
    )
    alone.set_parameters(learner.models[0][0].get_parameters())
    alone.set_logger(Logger(None, []))
    for step, terminated in enumerate((False, True, False)):
        alone.replay_buffer = ReplayBuffer(1, alone.observation_space, alone.action_space, "cpu")
        draw = np.random.default_rng(step)
        observation, following = draw.normal(size=(2, 1, OBSERVATION)).astype(np.float32)
        action = draw.uniform(-1, 1, (1, ACTION)).astype(np.float32)
        alone.replay_buffer.add(observation, following, action, np.array([1.5]), np.array([terminated]), [{}])

        def repeated(x):
            return torch.as_tensor(x, dtype=torch.float32).expand(1, TASKS, rows, *np.shape(x)[1:])

        discount = np.array([0.0 if terminated else c.discount])
        metrics = learner.update(Batch(*map(repeated, (observation, action, np.array([1.5]), following, discount))))
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        alone.train(1, rows)
        torch.randint(2**62, (TASKS - 1,), generator=generator)
        assert float(metrics.critic.loss[0, 0]) == pytest.approx(alone.logger.name_to_value["train/critic_loss"])
    assert equal(learner.models[0][0].get_parameters(), alone.get_parameters())
    assert equal(learner.models[0][0].log_ent_coef, alone.log_ent_coef)
    given = torch.randn(TASKS, 4, OBSERVATION)
    theirs, _ = alone.predict(given[0].numpy(), deterministic=True)
    np.testing.assert_allclose(act_alone(learner, 0, given)[0], theirs, atol=1e-6)
    noise = torch.randn(TASKS, 4, ACTION)
    with torch.no_grad():
        mean, log_std, _ = alone.actor.get_action_dist_params(given[0])
    drawn = learner.act(given[None], noise[None])[0, 0]
    torch.testing.assert_close(drawn, (mean + log_std.exp() * noise[0]).tanh())


@pytest.mark.parametrize("kind", ["none", *KINDS])
def test_the_step_size_falls_with_the_share_of_the_run(kind):
    """Adam's first step has its size, whatever the gradient."""
    config = make_config(agent={**AGENT, "single_task": kind, "learning_rate": 1e-3, "final_learning_rate": 0.2})
    infos = [TaskInfo(name, OBSERVATION, ACTION, 500, has_success=True) for name in MT10[:TASKS]]
    steps = []
    for share in (0.0, 0.5, 1.0):
        learner = make_learner(config, infos, CPU, SEEDS)
        before = [x.clone() for x in leaves(learner.actor_function(0)[:2])]
        learner.set_progress(share)
        learner.update(batch_of(0))
        after = leaves(learner.actor_function(0)[:2])
        steps.append(max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True)))
    assert steps == pytest.approx([1e-3, 6e-4, 2e-4], rel=1e-2)


def test_stable_baselines3_leaves_global_generators_alone():
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(()), np.random.rand()
    torch.manual_seed(7)
    np.random.seed(7)
    learner_of("stable_baselines3").update(batch_of(0))
    assert (torch.rand(()), np.random.rand()) == expected


def run_config(kind: str, **changes) -> Config:
    agent = {**AGENT, "single_task": kind}
    return make(method={"name": "mean"}, agent=agent, env={"tasks": "Points", "num_workers": 0}, **changes)


def folders(root: Path) -> dict[int, Path]:
    return {seed: root / f"seed_{seed}" for seed in SEEDS}


@pytest.mark.parametrize("kind", KINDS)
def test_run_resumes_bit_for_bit_and_reports_like_any_other(kind, tmp_path):
    config, straight, resumed = run_config(kind), folders(tmp_path / "straight"), folders(tmp_path / "resumed")
    assert train(config, straight).updates == 2 * (240 - 40) // 8
    assert train(config.model_copy(update={"steps": 136}), resumed).step == 136
    assert train(config, resumed, resume=True).complete
    for one, other in zip(straight.values(), resumed.values(), strict=True):
        states = [checkpoint.load_newest(folder / "checkpoints") for folder in (one, other)]
        assert equal(states[0]["agent"], states[1]["agent"])
        assert equal(states[0]["replay"], states[1]["replay"])
        result = evaluate(one)
        assert [row["name"] for row in result["tasks"]] == list(envs.task_names("Points"))
        assert evaluate(other)["tasks"] == result["tasks"]
    lines = [json.loads(line) for line in (straight[3] / "metrics.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["start", "train", "train", "train"]
    assert set(lines[-1]["loss"]["critic"]) == set(envs.task_names("Points"))
    report = write_report([tmp_path / "straight"], tmp_path / "report", warn=pytest.fail)
    label = {"ours": "small (single-task)", "stable_baselines3": "small (single-task, stable_baselines3)"}[kind]
    assert f"{label} any-step" in report.tables[0].header


def test_what_single_task_agents_cannot_do_is_refused():
    for kind, change, message in (
        (
            "ours",
            {"method": {"name": "nash_mtl"}},
            r"with agent.single_task=ours method.name must be mean, got nash_mtl \[",
        ),
        (
            "stable_baselines3",
            {"agent": {"value": "categorical", "max_grad_norm": 1.0}, "training": {"compile": True}},
            "with agent.single_task=stable_baselines3 agent.value must be scalar, got categorical; "
            r"agent.max_grad_norm must be null, got 1.0; training.compile must be false, got true \[",
        ),
        ("stable_baselines3", {"training": {"precision": "bfloat16"}}, "training.precision must be float32"),
    ):
        tree = config_of(kind).model_dump(mode="json")
        for section, values in change.items():
            tree[section] |= values
        with pytest.raises(ValueError, match=message):
            Config.model_validate_json(json.dumps(tree))


def test_shipped_config_trains_ten_agents(tmp_path, capsys):
    command = ["train", "configs/mt10/single-task.yaml", *SMALL, "--out", str(tmp_path)]
    assert main(command) == 0
    assert "mt10-single-task (single-task) any-step" in capsys.readouterr().out
    run = tmp_path / "mt10-single-task"
    assert len(json.loads((run / "seed_0" / "evaluation.json").read_text())["tasks"]) == 10
    assert main(["evaluate", str(run), "--episodes", "1", "--device", "cpu"]) == 0
    assert main([*command, "--resume", "--agent.single_task", "stable_baselines3"]) == 2
    assert "agent.single_task is 'ours' there and 'stable_baselines3' here" in capsys.readouterr().err
    assert (
        main([*command, "--agent.single_task", "stable_baselines3", "--name", "theirs", "--env.tasks", "Points"]) == 0
    )
    assert "theirs (single-task, stable_baselines3) any-step" in capsys.readouterr().out
