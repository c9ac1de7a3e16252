"""The networks: gradients of each task alone, what the published architectures promise, that they can learn."""

from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch.func import vmap

from mtrl.agents.networks import ConditioningConfig, NetworkConfig, NetworkParameters, make_network
from mtrl.agents.networks.layers import Forward
from mtrl.agents.networks.moore import orthonormalised
from mtrl.gradients import linear_task_gradients, over_tasks
from tests.existing import existing

KINDS = ("mlp", "residual", "simba", "soft_modular", "care", "paco", "moore")
KNOW_THE_TASK = KINDS[3:]
ENCODINGS = ("none", "one_hot", "embedding", "film")
T, B, I, O = 3, 6, 5, 2  # noqa: E741
SIZES = {
    "soft_modular": {"num_experts": 3, "encoder_width": 16},
    "care": {"num_experts": 3, "encoder_width": 16},
    "paco": {"num_experts": 3},
    "moore": {"num_experts": 3},
}


def build(kind, encoding="none", heads=False, width=8, depth=2, precision=torch.float64):
    config = NetworkConfig(kind=kind, width=width, depth=depth, **SIZES.get(kind, {}))
    conditioning = ConditioningConfig(encoding=encoding, embedding_size=4, heads=heads)
    return make_network(config, conditioning, I, O, 1.0, precision)


def first(network, seed=0, noise=0.0, dtype=torch.float64):
    """First parameters, moved away from zeros and ones by noise."""
    generator = torch.Generator().manual_seed(seed)
    moved = (
        {name: (t + noise * torch.randn(t.shape, generator=generator)).to(dtype) for name, t in group.items()}
        for group in network.init(T, generator)
    )
    return NetworkParameters(*moved)


def rows(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of_task(own, task):
    return {name: value[task] for name, value in own.items()}


def forward_of(network, parameters, task=0):
    return Forward({}, parameters.shared, of_task(parameters.own, task), network.precision)


def loss(network):
    def of_one_task(tape, shared, own, x, y):
        error = network(tape, shared, own, x) - y
        return (error**2).mean(), error.detach()

    return of_one_task


def task_gradients(network, parameters, x, y):
    of_tasks, sizes = over_tasks(loss(network)), {"num_tasks": x.shape[0], "num_rows": x.shape[1]}
    gradients, own, losses, _ = linear_task_gradients(of_tasks, *parameters, x, y, **sizes)
    return gradients.whole(), own, losses


@pytest.mark.parametrize(("kind", "encoding", "heads"), [*product(KINDS, ENCODINGS, (True, False))])
def test_gradients_are_those_of_each_task_alone(kind, encoding, heads):
    network = build(kind, encoding, heads)
    parameters = first(network, noise=0.1)
    x, y = rows(T, B, I), rows(T, B, O, seed=2)
    shared, own, _ = task_gradients(network, parameters, x, y)
    for group in parameters:
        for value in group.values():
            value.requires_grad_()
    for task in range(T):
        value, _ = loss(network)({}, parameters.shared, of_task(parameters.own, task), x[task], y[task])
        expected = torch.autograd.grad(value, parameters.tensors(), allow_unused=True, materialize_grads=True)
        for name, gradient in zip(parameters.shared, expected, strict=False):
            assert gradient.abs().sum() > 0, name
            torch.testing.assert_close(shared[name][task], gradient)
        for name, gradient in zip(parameters.own, expected[len(parameters.shared) :], strict=True):
            others = [i for i in range(T) if i != task]
            assert not gradient[others].any()
            torch.testing.assert_close(own[name][task], gradient[task])


@pytest.mark.parametrize(("kind", "encoding", "heads"), [*product(KINDS, ENCODINGS, (True, False))])
def test_a_network_knows_the_task_unless_it_is_blind(kind, encoding, heads):
    """Equal observations: equal outputs without encoding, heads or a trunk that knows; else different ones."""
    network = build(kind, encoding, heads, depth=1)
    parameters, x = first(network, noise=0.1), rows(B, I)
    blind = kind not in KNOW_THE_TASK and encoding == "none" and not heads
    one, other = (network({}, parameters.shared, of_task(parameters.own, task), x) for task in (0, 1))
    assert torch.equal(one, other) == blind
    assert bool(parameters.own) != blind
    assert ("head.weight" in parameters.own) == heads


@pytest.mark.parametrize("kind", KINDS)
def test_replicas_side_by_side_equal_each_alone(kind):
    network = build(kind, "film")
    alone = [first(network, seed) for seed in (0, 1)]
    both = NetworkParameters(
        *({name: torch.stack([p[i][name] for p in alone]) for name in alone[0][i]} for i in (0, 1))
    )
    x, y = rows(2, T, B, I), rows(2, T, B, O, seed=2)
    gradients = vmap(lambda parameters, x, y: task_gradients(network, parameters, x, y))(both, x, y)
    for replica, parameters in enumerate(alone):
        expected = task_gradients(network, parameters, x[replica], y[replica])
        for group, values in zip(gradients[:2], expected[:2], strict=True):
            for name, value in values.items():
                torch.testing.assert_close(group[name][replica], value)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_products_are_near_those_of_float32(kind):
    outputs = []
    for precision in (torch.float32, torch.bfloat16):
        network = build(kind, "embedding", heads=True, width=32, precision=precision)
        parameters, x = first(network, dtype=torch.float32), rows(B, I, dtype=torch.float32)
        outputs.append(network({}, parameters.shared, of_task(parameters.own, 0), x))
        assert outputs[-1].dtype == torch.float32
    assert not torch.equal(*outputs)
    assert (outputs[0] - outputs[1]).norm() < 0.03 * outputs[0].norm()


def regression(kind, encoding="none", steps=300):
    """Mean squared error before and after training on targets that are opposite in two tasks."""
    network = build(kind, encoding, width=32, precision=torch.float32)
    parameters = first(network, dtype=torch.float32)
    x = rows(1, 32, I, dtype=torch.float32).expand(T, -1, -1)
    y = torch.tensor([1.0, -1.0, 0.0])[:, None, None] * x[..., :O].sin() + 0.5
    optimizer = torch.optim.Adam(parameters.tensors(), 3e-3)
    losses = []
    for _ in range(steps):
        gradients, own, values = task_gradients(network, parameters, x, y)
        losses.append(values.mean())
        for name, parameter in parameters.shared.items():
            parameter.grad = gradients[name].mean(0)
        for name, parameter in parameters.own.items():
            parameter.grad = own[name] / T
        optimizer.step()
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [*((kind, "none") for kind in KNOW_THE_TASK), ("residual", "one_hot"), ("simba", "embedding"), ("mlp", "film")],
)
def test_each_learns_what_a_blind_network_cannot(kind, encoding):
    _, after = regression(kind, encoding)
    assert after < 0.01


def test_a_blind_network_learns_no_more_than_the_mean():
    x = rows(1, 32, I, dtype=torch.float32)[..., :O].sin()
    _, after = regression("mlp")
    assert after > 0.99 * (2 / 3) * (x**2).mean()


@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        *product(("soft_modular", "paco"), ["eager"]),
        *(pytest.param(kind, "inductor", marks=pytest.mark.slow) for kind in KINDS),
    ],
)
def test_compiles_into_one_graph(kind, backend):
    """Machine code is made of the residual networks elsewhere, of the whole update; of all kinds it takes minutes."""
    network = build(kind, "film" if kind == "paco" else "one_hot", precision=torch.float32)
    parameters = first(network, dtype=torch.float32)
    x, y = rows(T, B, I, dtype=torch.float32), rows(T, B, O, seed=2, dtype=torch.float32)

    def of_replica(parameters, x, y):
        return task_gradients(network, parameters, x, y)

    function = vmap(of_replica, in_dims=(None, 0, 0))
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=backend)(parameters, x[None], y[None])
    torch.testing.assert_close(compiled, function(parameters, x[None], y[None]), rtol=1e-4, atol=1e-5)


def test_moore_mixes_orthonormal_features_of_its_experts():
    network = build("moore")
    parameters, x = first(network), rows(B, I)
    forward = forward_of(network, parameters)
    outputs = network.trunk.outputs(forward, x)
    features = orthonormalised(outputs)
    torch.testing.assert_close(features @ features.mT, torch.eye(3, dtype=x.dtype).expand(B, 3, 3))
    within = (outputs @ features.mT) @ features  # each output lies in the span of the features before and with it
    torch.testing.assert_close(within, outputs)
    assert not (outputs @ features.mT).triu(1).abs().max() > 1e-12
    mixed = sum(w * u for w, u in zip(forward.own["experts"][0], features.unbind(-2), strict=True))
    torch.testing.assert_close(network.trunk(forward, x), mixed.tanh())


def test_gram_schmidt_survives_nearly_equal_and_zero_vectors():
    vectors = rows(4, 3, 50, dtype=torch.float32)
    vectors[:, 1] = vectors[:, 0] + 1e-3 * vectors[:, 1]
    features = orthonormalised(vectors)
    torch.testing.assert_close(features @ features.mT, torch.eye(3).expand(4, 3, 3), rtol=0, atol=2e-3)
    zero = torch.zeros(2, 3, 5, requires_grad=True)
    orthonormalised(zero).sum().backward()
    assert existing(zero.grad).isfinite().all()


@pytest.mark.parametrize("task", range(T))
def test_paco_is_an_mlp_with_composed_parameters(task):
    network = build("paco")
    parameters, x = first(network, noise=0.1), rows(B, I)
    forward = forward_of(network, parameters, task)
    w, hidden = forward.own["composition"][0], x
    for name in ("layer0", "layer1", "head"):
        sets = parameters.shared[f"{name}.weight"].unflatten(0, (3, -1))
        composed = sum(w[k] * sets[k] for k in range(3))
        hidden = hidden @ composed[:-1] + composed[-1] + parameters.shared[f"{name}.bias"]
        hidden = hidden if name == "head" else hidden.relu()
    torch.testing.assert_close(network(*forward[:3], x), hidden)


def test_soft_modular_shares_sum_to_one_and_decide_what_modules_read():
    network = build("soft_modular", depth=3)
    parameters, x = first(network, noise=0.5), rows(B, I)
    forward = forward_of(network, parameters)
    features = network.trunk.observation(forward, x)
    shares = network.trunk.shares(forward, features)
    assert [tuple(s.shape) for s in shares] == [(B, 3, 3), (B, 3, 3), (B, 1, 3)]
    for share in shares:
        torch.testing.assert_close(share.sum(-1), torch.ones_like(share[..., 0]))
        assert (share > 0).all()
    inputs = [features.relu()] * 3
    for layer, share in zip(network.trunk.modules, shares, strict=True):
        outputs = [module(forward, y).relu() for module, y in zip(layer, inputs, strict=True)]
        inputs = [sum(share[:, i, j, None] * outputs[j] for j in range(3)) for i in range(share.shape[1])]
    torch.testing.assert_close(network.trunk(forward, x), inputs[0])
    other = network.trunk.shares(forward_of(network, parameters, 1), features)
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(shares, other, strict=True))


def test_care_weights_sum_to_one_and_are_the_tasks_own():
    network = build("care")
    parameters, x = first(network, noise=0.5), rows(B, I)
    weights = []
    for task in range(T):
        forward = forward_of(network, parameters, task)
        context = network.trunk.context(forward, forward.own["task"])
        weights.append(network.trunk.weights(forward, context)[0])
        encodings = [encoder(forward, x) for encoder in network.trunk.encoders]
        mixed = sum(a * z for a, z in zip(weights[-1], encodings, strict=True))
        expected = network.trunk.trunk(forward, torch.cat([mixed, context.expand(B, -1)], -1))
        torch.testing.assert_close(network.trunk(forward, x), expected)
    torch.testing.assert_close(torch.stack(weights).sum(-1), torch.ones(T, dtype=x.dtype))
    assert (weights[0] - weights[1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_film_is_the_identity_at_first(kind):
    plain, film = (build(kind, encoding) for encoding in ("none", "film"))
    parameters, modulated, x = first(plain), first(film), rows(B, I)
    outputs = [n(*forward_of(n, p)[:3], x) for n, p in ((plain, parameters), (film, modulated))]
    assert torch.equal(*outputs)


def test_film_scales_and_shifts_every_hidden_unit_before_its_activation():
    network = build("mlp", "film", depth=1)
    parameters, x = first(network, noise=0.3), rows(B, I)
    shared, own = parameters.shared, of_task(parameters.own, 1)
    hidden = x @ shared["layer0.weight"] + shared["layer0.bias"]
    hidden = ((1 + own["layer0.film_scale"]) * hidden + own["layer0.film_shift"]).relu()
    expected = hidden @ shared["head.weight"] + shared["head.bias"]
    torch.testing.assert_close(network({}, shared, own, x), expected)


def test_one_hot_is_a_one_hot_vector_at_the_input():
    network, x = build("mlp", "one_hot"), rows(B, I)
    parameters = first(network, noise=0.1)
    shared, own = dict(parameters.shared), parameters.own["layer0.one_hot"][:, 0]
    wider = build("mlp")
    shared["layer0.weight"] = torch.cat([shared["layer0.weight"], own])
    for task in range(T):
        vector = torch.eye(T, dtype=x.dtype)[task].expand(B, -1)
        expected = wider({}, shared, {}, torch.cat([x, vector], -1))
        torch.testing.assert_close(network(*forward_of(network, parameters, task)[:3], x), expected)


def test_embedding_is_joined_to_the_input():
    network, x = build("mlp", "embedding"), rows(B, I)
    parameters = first(network)
    norms = parameters.own["embedding"].norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    joined = torch.cat([x, parameters.own["embedding"][2].expand(B, -1)], -1)
    expected = build("mlp")({}, parameters.shared, {}, joined)
    torch.testing.assert_close(network(*forward_of(network, parameters, 2)[:3], x), expected)


def test_residual_layers_are_normalised_after_the_linear_part():
    """BroNet: neither scale nor offset of any linear layer's outputs matters."""
    network, x = build("residual"), rows(B, I)
    shared = first(network, noise=0.1).shared
    scaled = {
        name: 3 * t + (2 if name.endswith("bias") else 0)
        if "layer" in name and name.endswith(("weight", "bias"))
        else t
        for name, t in shared.items()
    }
    torch.testing.assert_close(network({}, scaled, {}, x), network({}, shared, {}, x), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(build("mlp")({}, scaled, {}, x), build("mlp")({}, shared, {}, x), rtol=1e-1)


def test_simba_normalises_before_its_blocks_and_its_head():
    network, x = build("simba", depth=2), rows(B, I)
    parameters = first(network)
    features = network.trunk(forward_of(network, parameters), x)
    torch.testing.assert_close(features.mean(-1), torch.zeros_like(features[:, 0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(features.square().mean(-1), torch.ones_like(features[:, 0]), rtol=1e-3, atol=0)
    assert parameters.shared["layer1.weight"].shape == (8, 32)
    # A block reads its input normalised, and adds to it as it is.
    forward, trunk = forward_of(network, parameters), network.trunk
    norm, inner, outer = trunk.blocks[0]
    hidden = trunk.first(forward, x)
    scaled = hidden + outer(forward, inner(forward, norm(forward, 7 * hidden)).relu())
    torch.testing.assert_close(
        scaled, hidden + outer(forward, inner(forward, norm(forward, hidden)).relu()), rtol=1e-3, atol=1e-3
    )
    one_block = build("simba", depth=1)
    torch.testing.assert_close(one_block.trunk(forward, x), trunk.norm(forward, scaled), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "mlp", "num_experts": 3}, "num_experts is for soft_modular, care, paco, moore; mlp has none"),
        ({"kind": "moore", "encoder_width": 50}, "encoder_width is for soft_modular, care; moore has none"),
        ({"kind": "moore", "width": 3}, "moore needs num_experts <= width to make them orthogonal, got 4 > 3"),
        ({"kind": "transformer"}, "Input should be 'mlp', 'residual', 'simba'"),
        ({"kind": "paco", "num_experts": 0}, "greater than 0"),
    ],
)
def test_a_configuration_that_means_nothing_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        NetworkConfig(**values)


def test_sizes_not_given_are_the_published_ones():
    sizes = {kind: NetworkConfig.model_validate({"kind": kind}).experts for kind in KNOW_THE_TASK}
    assert sizes == {"soft_modular": 2, "care": 6, "paco": 5, "moore": 4}
    assert [NetworkConfig(kind=kind).encoder_size for kind in ("soft_modular", "care")] == [400, 50]
