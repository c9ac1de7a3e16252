"""One update: what it equals, what it leaves alone, that it can be repeated."""

import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from mtrl import aggregation
from mtrl.agents.networks import NetworkParameters
from tests.agents.conftest import ACTION, OBSERVATION, make_batch, make_config, make_learner, parameters_of, target_of
from tests.oracles.single_task_sac import SingleTaskSAC, mlp


def assert_equal_bits(one, other):
    for first, second in zip(one.tensors().values(), other.tensors().values(), strict=True):
        assert torch.equal(first, second)


def test_one_task_with_the_mean_is_single_task_sac():
    """Ten updates of `T = 1` against 60 plain lines of torch.nn, parameter by parameter."""
    network = {"kind": "mlp", "width": 16, "depth": 2}
    config = make_config(
        agent={
            "actor": network,
            "critic": network,
            "conditioning": {"encoding": "none"},
            "value": "scalar",
            "initial_temperature": 0.3,
        }
    )
    learner = make_learner(config, num_tasks=1)

    def plain(parameters, twin, sizes):
        module = mlp(sizes)
        linears = [layer for layer in module if isinstance(layer, nn.Linear)]
        for i, layer in enumerate(linears):
            weight, bias = tensors(parameters, twin, i, len(linears))
            layer.weight.data, layer.bias.data = weight.T.clone(), bias.clone()
        return module

    def tensors(parameters, twin, i, count):
        """Weight and bias of a layer; `twin` is () for the actor."""
        if i == count - 1:
            return parameters.own["head.weight"][0, *twin, 0], parameters.own["head.bias"][0, *twin, 0, 0]
        return parameters.shared[f"layer{i}.weight"][0, *twin], parameters.shared[f"layer{i}.bias"][0, *twin, 0]

    twins = (0,), (1,)
    critics = [plain(learner.critic.parameters, twin, [OBSERVATION + ACTION, 16, 16, 1]) for twin in twins]
    oracle = SingleTaskSAC(plain(learner.actor.parameters, (), [OBSERVATION, 16, 16, 2 * ACTION]), critics, 0.3)
    for step in range(10):
        batch = make_batch(num_tasks=1, seed=step)
        terminated = (batch.reward > 1).float()
        batch = batch._replace(discount=0.99 * (1 - terminated))
        (generator,) = learner.generators
        state = generator.get_state()
        noises = [learner.noise(batch.action.shape[1:])[0, 0] for _ in range(2)]
        generator.set_state(state)
        learner.update(batch)
        o, a, r, o2, terminal = (x[0, 0] for x in batch._replace(discount=terminated))
        oracle.update(o, a, r, o2, terminal, noises)
        pairs: list[tuple[NetworkParameters, tuple[int, ...], nn.Sequential]]
        pairs = [(learner.actor.parameters, (), oracle.actor)]
        pairs += [(learner.critic.parameters, twin, c) for twin, c in zip(twins, oracle.critics, strict=True)]
        pairs += [(target_of(learner), twin, c) for twin, c in zip(twins, oracle.targets, strict=True)]
        for ours, twin, module in pairs:
            for i, layer in enumerate(x for x in module if isinstance(x, nn.Linear)):
                weight, bias = tensors(ours, twin, i, 3)
                torch.testing.assert_close(weight, layer.weight.T, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(bias, layer.bias, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(learner.log_alpha[0, 0], oracle.log_alpha.data)


@pytest.mark.parametrize("method", ["mean", "mgda", "nash_mtl", "pcgrad", "cagrad"])
def test_every_method_trains_and_same_seed_gives_same_bits(method):
    learners = [make_learner(make_config(method={"name": method})) for _ in range(2)]
    before = [t.clone() for t in parameters_of(learners[0])]
    for learner in learners:
        for seed in range(3):
            metrics = learner.update(make_batch(seed=seed))
    after = [parameters_of(learner) for learner in learners]
    for old, first, second in zip(before, *after, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(old, first)
    assert torch.isfinite(metrics.critic.weights).all()


def first_gradient(learner):
    """Of the critics after one update: Adam's first moment is a tenth of it."""
    (state,) = learner.critic.optimizer.state.values()
    return 10 * state["exp_avg"]


def test_a_tasks_own_parameters_follow_its_own_data_alone():
    results = []
    for shift in (0.0, 1.0):
        learner, batch = make_learner(make_config()), make_batch()
        reward = batch.reward.clone()
        reward[:, 2] += shift
        learner.update(batch._replace(reward=reward))
        results.append(learner)
    for name in results[0].critic.parameters.own:
        first, second = (learner.critic.layouts[0].views(first_gradient(learner)).own[name][0] for learner in results)
        assert torch.equal(first[:, :2], second[:, :2])
        assert not torch.equal(first[:, 2], second[:, 2])


def test_components_keep_their_own_method_state():
    learner = make_learner(make_config(method={"name": "pcgrad"}, agent={"actor_every": 2}))
    assert learner.critic.method is not learner.actor.method
    for seed in range(4):
        learner.update(make_batch(seed=seed))
    critic, actor = (m.state_dict() for m in (learner.critic.method, learner.actor.method))
    assert any(not torch.equal(critic[name], actor[name]) for name in critic)


def test_compiled_update_equals_the_eager_one():
    configs = [make_config(training={"compile": flag}) for flag in (False, True)]
    learners = [make_learner(config) for config in configs]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="cannot compile")  # or it would be the eager one
        for seed in range(2):
            for learner in learners:
                learner.update(make_batch(seed=seed))
    for first, second in zip(*map(parameters_of, learners), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)


def test_without_a_compiler_the_update_runs_as_it_is_and_says_so(tmp_path):
    program = (
        "import torch; from tests.agents.conftest import *\n"
        "learners = [make_learner(make_config(training={'compile': flag})) for flag in (False, True)]\n"
        "for _ in range(2):\n"
        "    for learner in learners: learner.update(make_batch())\n"
        "tensors = [parameters_of(learner) for learner in learners]\n"
        "assert all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))\n"
    )
    environment = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot compile the update, so it runs slower") == 1


def test_temperature_moves_towards_the_target_entropy():
    for target, sign in ((-50.0, -1), (50.0, 1)):
        learner = make_learner(make_config(agent={"target_entropy": target}))
        before = learner.log_alpha.clone()
        learner.update(make_batch())
        assert (torch.sign(learner.log_alpha - before) == sign).all()


@pytest.mark.parametrize("task", range(3))
def test_a_shared_temperature_follows_the_mean_entropy(task):
    """The target lies between the mean and a task's own entropy: that task alone would move it the other way."""
    entropy = make_learner(make_config(agent={"temperature": "shared"})).update(make_batch()).entropy[0]
    target = float(entropy.mean() + entropy[task]) / 2
    learner = make_learner(make_config(agent={"temperature": "shared", "target_entropy": target}))
    before = learner.log_alpha.clone()
    learner.update(make_batch())
    assert learner.log_alpha.shape == (1, 1)
    assert torch.sign(learner.log_alpha - before).item() == torch.sign(target - entropy.mean())


def test_weight_decay_is_decoupled_from_the_gradient():
    """The first step with it differs by `rate * decay` of each parameter (Loshchilov and Hutter 2019)."""
    decayed, plain = (
        make_learner(make_config(agent={"learning_rate": 1e-2, "weight_decay": decay})) for decay in (0.5, 0.0)
    )
    first = plain.critic.vector.clone()
    for learner in (decayed, plain):
        learner.update(make_batch())
    torch.testing.assert_close(plain.critic.vector - decayed.critic.vector, 1e-2 * 0.5 * first, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("aggregated", ["both", "critic", "actor"])
def test_what_is_not_aggregated_takes_the_mean(aggregated):
    learner = make_learner(make_config(method={"name": "nash_mtl"}, agent={"aggregated": aggregated}))
    metrics = learner.update(make_batch())
    for name in ("critic", "actor"):
        weights = getattr(metrics, name).weights
        assert torch.allclose(weights, torch.full((1, 3), 1 / 3)) == (aggregated not in (name, "both"))


def test_weights_are_held_between_two_calls_of_the_method():
    learner = make_learner(make_config(method={"name": "nash_mtl", "update_every": 3}))
    told = [learner.update(make_batch(seed=seed)) for seed in range(7)]
    for name in ("critic", "actor"):
        weights = [getattr(metrics, name).weights for metrics in told]
        held = [torch.equal(one, other) for one, other in itertools.pairwise(weights)]
        assert held == [True, True, False, True, True, False]


def test_state_dict_continues_bit_for_bit():
    config = make_config(method={"name": "pcgrad"}, agent={"actor_every": 2})
    straight = make_learner(config)
    for seed in range(3):
        straight.update(make_batch(seed=seed))
    continued = make_learner(config, seeds=(5,))
    continued.load_state_dict([straight.state_dict(0)])
    for seed in range(3, 6):
        for learner in (straight, continued):
            learner.update(make_batch(seed=seed))
    assert_equal_bits(straight, continued)


def test_networks_begin_anew_with_the_next_update_and_never_end_new():
    """A run may stop where they would: what it leaves has learned, and goes on as if it had not stopped."""
    config = make_config(agent={"reset_every_updates": 2})
    straight, continued = make_learner(config), make_learner(config, seeds=(0,))
    for seed in range(2):
        straight.update(make_batch(seed=seed))
    new = straight._first_values(resets=1)
    assert not any(torch.equal(tensor, new[name]) for name, tensor in straight.tensors().items())
    continued.load_state_dict([straight.state_dict(0)])
    for learner in (straight, continued):
        learner.update(make_batch(seed=2))
        (moments,) = learner.critic.optimizer.state.values()
        assert moments["step"] == 1
    assert_equal_bits(straight, continued)


REMEMBERING = ["moco", "excess_mtl", "db_mtl", "famo", "grad_norm", "dynamic_weight_average", "grad_vac", "pcgrad"]


@pytest.mark.parametrize("method", [*({"name": name} for name in REMEMBERING), {"name": "nash_mtl", "update_every": 3}])
def test_methods_begin_anew_with_the_networks(method):
    """After a reset it is the learner that a new one with these networks is; random streams go on."""
    config = make_config(method=method, agent={"reset_every_updates": 2})
    old, new = make_learner(config), make_learner(config)
    for seed in range(2):
        old.update(make_batch(seed=seed))
    for name, tensor in new.tensors().items():
        tensor.copy_(old._first_values(resets=1)[name])
    new.generators[0].set_state(old.generators[0].get_state())
    for ours, theirs in ((old.critic.method, new.critic.method), (old.actor.method, new.actor.method)):
        if "key" in ours.state_dict():
            theirs.get_buffer("step").copy_(ours.get_buffer("step"))
    for seed in range(2, 4):
        for learner in (old, new):
            learner.update(make_batch(seed=seed))
    for component in ("critic", "actor"):
        ours, theirs = (getattr(learner, component) for learner in (old, new))
        assert torch.equal(ours.vector, theirs.vector)
        states = [x.method.state_dict() for x in (ours, theirs)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_stops_between_a_reset_and_the_actors_next_step_goes_on_bit_for_bit():
    agent = {"reset_every_updates": 3, "actor_every": 2}
    config = make_config(method={"name": "excess_mtl", "update_every": 2}, agent=agent)
    straight, continued = make_learner(config), make_learner(config, seeds=(0,))
    for seed in range(4):
        straight.update(make_batch(seed=seed))
    assert straight.actor.method.get_buffer("roots").isnan().all()
    continued.load_state_dict([straight.state_dict(0)])
    for seed in range(4, 8):
        for learner in (straight, continued):
            learner.update(make_batch(seed=seed))
    assert_equal_bits(straight, continued)
    assert all(tensor.isfinite().all() for tensor in straight.tensors().values())


def test_clipping_shortens_what_the_optimizer_sees_and_lengthens_nothing():
    gradients = []
    for bound in (1e-3, 1e6, None):
        learner = make_learner(make_config(agent={"max_grad_norm": bound}))
        learner.update(make_batch())
        gradients.append(first_gradient(learner))
    short, whole, free = gradients
    assert torch.equal(whole, free)
    torch.testing.assert_close(short, 1e-3 * free / free.norm(), rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("name", aggregation.METHODS)
def test_every_method_takes_part(name):
    config = make_config(method={"name": name})
    learner, resumed = make_learner(config), make_learner(config)
    for seed in range(2):
        metrics = learner.update(make_batch(seed=seed))
    resumed.load_state_dict([learner.state_dict(0)])
    assert torch.equal(learner.update(make_batch(seed=2)).critic.loss, resumed.update(make_batch(seed=2)).critic.loss)
    for ours, theirs in zip(learner.critic.parameters.tensors(), resumed.critic.parameters.tensors(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.isfinite().all()
    coordinate_wise = issubclass(aggregation.METHODS[name], aggregation.CoordinateMethod)
    assert metrics.critic.weights.isnan().all() == coordinate_wise


def test_famo_learns_from_the_critics_second_losses():
    learner = make_learner(make_config(method={"name": "famo"}))
    before = learner.update(make_batch()).critic.weights
    logits = learner.critic.method.get_buffer("logits")
    assert logits[0, 0].unique().numel() == 3  # the tasks' losses fell by different amounts
    assert not torch.equal(learner.update(make_batch()).critic.weights, before)
    assert isinstance(learner.actor.method, aggregation.LinearScalarization)


def test_metrics_tell_the_worst_residual_of_the_methods():
    learner = make_learner(make_config(method={"name": "nash_mtl"}))
    learner.update(make_batch(seed=0))
    assert learner.critic.method.worst_residual < 1e-6
    learner.critic.method.worst_residual.fill_(0.5)  # as a bad solve leaves it
    metrics = learner.update(make_batch(seed=1))
    assert metrics.critic_residual.shape == metrics.value.shape[:1]
    assert (metrics.critic_residual == 0.5).all()
    assert (metrics.actor_residual < 1e-6).all()


@pytest.mark.parametrize("method", [{"name": "mean"}, {"name": "nash_mtl"}, {"name": "nash_mtl", "update_every": 2}])
def test_conflicts_measured_every_third_update_are_those_of_every_update(method):
    """At the updates where both measure; and measuring changes nothing of the training."""
    often, seldom = (make_learner(make_config(method=method, training={"conflict_every_updates": k})) for k in (1, 3))
    seen = []
    for step in range(7):
        ours, theirs = (learner.update(make_batch(seed=step)) for learner in (often, seldom))
        for component in ("critic", "actor"):
            every, third = (getattr(metrics, component).conflict for metrics in (ours, theirs))
            assert int(every.measurements) == 1
            assert int(third.measurements) == (step % 3 == 0)
            if step % 3 == 0:
                assert all(torch.equal(a, b) for a, b in zip(every, third, strict=True))
                seen.append(every.cosines)
        often.forget_conflicts()
        seldom.forget_conflicts()
    assert len({tuple(cosines.flatten().tolist()) for cosines in seen}) == 6
    assert_equal_bits(often, seldom)


def test_conflicts_are_means_over_the_measurements():
    learner = make_learner(make_config(method={"name": "mean"}, training={"conflict_every_updates": 2}))
    conflict = learner.update(make_batch(seed=0)).critic.conflict
    first = conflict.mean()
    learner.update(make_batch(seed=1))
    conflict = learner.update(make_batch(seed=2)).critic.conflict
    learner.forget_conflicts()
    learner.update(make_batch(seed=3))
    again = learner.update(make_batch(seed=4)).critic.conflict
    assert [int(c.measurements) for c in (conflict, again)] == [2, 1]
    torch.testing.assert_close(conflict.gradient_norm, 2 * conflict.mean().gradient_norm)
    assert not torch.equal(first.gradient_norm, conflict.mean().gradient_norm)
    learner.forget_conflicts()
    assert learner.update(make_batch(seed=5)).critic.conflict.mean().cosines.isnan().all()
