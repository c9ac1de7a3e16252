"""Weights whose gradients stay factors: which ones the graph tells, and that nothing but the price depends on it."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from mtrl import backward
from mtrl.aggregation import NashMTL, TrimmedMean
from mtrl.gradients import collect
from mtrl.gradients.layer_nodes import Linear
from mtrl.gradients.layer_plan import plan_layers
from mtrl.gradients.own_rows import Order, OwnRows
from mtrl.gradients.shared_inputs import SharedInputs
from tests.existing import existing

T = 40
"""Enough for the rows' own product to pay in small layers."""


class Net(nn.Module):
    """Layers, and how a batch goes through them to `[samples, features]`."""

    def __init__(self, x, forward=None, **layers):
        super().__init__()
        self.x, self.way = x, forward
        self.layers = nn.ModuleDict(layers)

    def forward(self):
        if self.way is not None:
            return self.way(self.x, self.layers)
        z = self.x
        for layer in self.layers.values():
            z = layer(z)
        return z.flatten(1)


def image(*shape):
    return torch.randn(2, *shape)


def tied(x, layers):
    return layers["table"](x).mean(1) @ layers["table"].weight.T


def used_directly(x, layers):
    return layers["one"](x) * (1 + layers["one"].weight.mean())


def recomputed(x, layers):
    return checkpoint(lambda x: layers["two"](layers["one"](x).tanh()), x, use_reentrant=False)


def columns(x, layers):
    return functional.linear(x, layers["one"].weight[:, :12])


def matmul(x, layers):
    return (x @ layers["one"].weight).flatten(1)


def gru(x, layers):
    return layers["one"](x)[0].flatten(1)


def complex_inputs(x, layers):
    z = torch.complex(x, x.sin()) @ layers["one"].weight.t().to(torch.complex128)
    return torch.view_as_real(z).flatten(1)


def sparse_inputs(x, layers):
    return x.relu().to_sparse() @ layers["one"].weight.t()


def no_rows(x, layers):
    return layers["one"](x[:0]).sum(tuple({0, *range(2, x.ndim)})) + x.flatten(1)[:, :5]


def hooked_node(x, layers):
    y = layers["one"](x)
    y.grad_fn.register_hook(lambda gradients, _: tuple(None if g is None else 2 * g for g in gradients))
    return y


def hooked_before_node(x, layers):
    y = layers["one"](x)
    y.grad_fn.register_prehook(lambda gradients: tuple(2 * g for g in gradients))
    return y


def hooked_transposed(x, layers):
    weight = layers["one"].weight.t()
    weight.register_hook(lambda gradient: 2 * gradient)
    return x @ weight


def hooked_cast(x, layers):
    weight = layers["one"].weight.to(torch.float32)
    weight.register_hook(lambda gradient: 2 * gradient)
    return (x.float() @ weight.t()).double()


def hooked(layer):
    layer.register_backward_hook(lambda _, found, __: tuple(None if g is None else 2 * g for g in found))
    return layer


def nets():
    """By name: how a net is made, and its factored parameters; None where that is torch's affair."""
    words = torch.tensor([[0, 3, 3], [7, 0, 29]])
    weight, both = {"one.weight"}, {"one.weight", "one.bias"}
    last, attention = torch.channels_last, nn.TransformerEncoderLayer
    return {
        "two layers": (lambda: Net(image(12), one=nn.Linear(12, 5), two=nn.Linear(5, 30)), {*weight, "two.weight"}),
        "more axes": (lambda: Net(image(3, 24), one=nn.Linear(24, 5)), weight),
        "without bias": (lambda: Net(image(3, 24).mT.contiguous().mT, one=nn.Linear(24, 5, bias=False)), weight),
        "more rows than inputs": (lambda: Net(image(9, 4), one=nn.Linear(4, 5)), set()),
        "x W": (lambda: Net(image(3, 24), matmul, one=nn.Linear(5, 24)), weight),
        "convolution": (lambda: Net(image(16, 4, 3), one=nn.Conv2d(16, 5, 3, padding=1)), both),
        "stride": (lambda: Net(image(16, 7, 5), one=nn.Conv2d(16, 5, (3, 2), stride=(2, 1))), both),
        "dilation": (lambda: Net(image(16, 5, 6), one=nn.Conv2d(16, 5, (2, 3), 1, (1, 2), (3, 2))), both),
        "channels last": (lambda: Net(image(16, 4, 3).to(memory_format=last), one=nn.Conv2d(16, 5, 3)), both),
        "one dimension": (lambda: Net(image(16, 9), one=nn.Conv1d(16, 5, 3, stride=2)), both),
        "three dimensions": (lambda: Net(image(8, 3, 3, 4), one=nn.Conv3d(8, 5, 3, 2, padding=1)), both),
        "groups": (lambda: Net(image(16, 4, 4), one=nn.Conv2d(16, 6, 3, groups=2)), set()),
        "transposed": (lambda: Net(image(16, 3, 3), one=nn.ConvTranspose2d(16, 5, 3)), set()),
        "embedding": (lambda: Net(words, one=nn.Embedding(30, 4)), weight),
        "padding": (lambda: Net(words, one=nn.Embedding(30, 4, padding_idx=3)), weight),
        "scaled by frequency": (lambda: Net(words, one=nn.Embedding(30, 4, scale_grad_by_freq=True)), set()),
        "batch norm": (lambda: Net(image(12), one=nn.Linear(12, 9), two=nn.BatchNorm1d(9)), weight),
        "layer norm": (lambda: Net(image(12), one=nn.Linear(12, 9), two=nn.LayerNorm(9)), weight),
        "group norm": (lambda: Net(image(16, 4, 3), one=nn.Conv2d(16, 6, 3), two=nn.GroupNorm(2, 6)), both),
        "twice": (lambda: Net(image(12), lambda x, m: m["one"](m["one"](x).tanh()), one=nn.Linear(12, 12)), weight),
        "tied": (lambda: Net(words, tied, table=nn.Embedding(30, 4)), set()),
        "used directly": (lambda: Net(image(12), used_directly, one=nn.Linear(12, 5)), set()),
        "a part of it": (lambda: Net(image(12), columns, one=nn.Linear(24, 5)), set()),
        "checkpoint": (lambda: Net(image(12), recomputed, one=nn.Linear(12, 9), two=nn.Linear(9, 9)), set()),
        "weight norm": (lambda: Net(image(12), one=parametrizations.weight_norm(nn.Linear(12, 5))), set()),
        "complex inputs": (lambda: Net(image(12), complex_inputs, one=nn.Linear(12, 5, bias=False)), set()),
        "sparse inputs": (lambda: Net(image(12), sparse_inputs, one=nn.Linear(12, 5, bias=False)), set()),
        "no inputs": (lambda: Net(image(0), one=nn.Linear(0, 5), two=nn.Linear(5, 30)), {"two.weight"}),
        "no rows": (lambda: Net(image(12), no_rows, one=nn.Linear(12, 5)), set()),
        "no images": (lambda: Net(image(16, 4, 3), no_rows, one=nn.Conv2d(16, 5, 3)), set()),
        "hooked node": (lambda: Net(image(12), hooked_node, one=nn.Linear(12, 5)), set()),
        "hooked before": (lambda: Net(image(12), hooked_before_node, one=nn.Linear(12, 5)), set()),
        "hooked transposed": (lambda: Net(image(12), hooked_transposed, one=nn.Linear(12, 5, bias=False)), set()),
        "hooked cast": (lambda: Net(image(12), hooked_cast, one=nn.Linear(12, 5, bias=False)), set()),
        "hooked module": (lambda: Net(image(12), one=hooked(nn.Linear(12, 5))), set()),
        "recurrent": (lambda: Net(image(3, 12), gru, one=nn.GRU(12, 5, batch_first=True)), None),
        "attention": (lambda: Net(image(3, 16), one=attention(16, 2, 40, dropout=0.0, batch_first=True)), None),
    }


def made(name, dtype=torch.float64):
    torch.manual_seed(0)
    trunk = nets()[name][0]().to(dtype)
    trunk.x = trunk.x.to(dtype) if trunk.x.is_floating_point() else trunk.x
    return trunk, nn.Linear(trunk().shape[-1], T).to(dtype)


def losses_of(trunk, heads):
    return [loss.tanh() for loss in heads(trunk()).mean(0)]


def jacobian(losses, parameters):
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses]
    return torch.stack(
        [
            torch.cat(
                [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, row, strict=True)]
            )
            for row in rows
        ]
    )


def flat_gradient(trunk):
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trunk.parameters()])


@pytest.mark.parametrize("name", nets())
def test_the_step_is_that_of_the_jacobian(name):
    trunk, heads = made(name)
    J = jacobian(losses_of(trunk, heads), [*trunk.parameters()])
    weights = backward(losses_of(trunk, heads), NashMTL(), trunk)
    assert_close(weights, NashMTL()(J @ J.T), rtol=1e-4, atol=1e-6)
    assert_close(flat_gradient(trunk), weights @ J)


@pytest.mark.parametrize("name", [name for name, (_, factored) in nets().items() if factored is not None])
def test_what_is_factored(name):
    trunk, heads = made(name)
    roots = [get_gradient_edge(loss) for loss in losses_of(trunk, heads)]
    plan = plan_layers(roots, dict(trunk.layers.named_parameters()))
    assert plan.parameters.keys() == nets()[name][1]


@pytest.mark.parametrize("name", [name for name, (_, factored) in nets().items() if factored])
def test_a_leaf_is_the_jacobians_columns(name):
    trunk, heads = made(name)
    losses = losses_of(trunk, heads)
    roots = [get_gradient_edge(loss) for loss in losses]
    plan = plan_layers(roots, dict(trunk.layers.named_parameters()))
    edges = [layer.edge for layer in plan.entries]
    found = [torch.autograd.grad([root], edges, [losses[0].new_ones(())], True) for root in roots]
    deltas = {
        layer: torch.stack([layer.by_row(gradient) for gradient in gradients])
        for layer, gradients in zip(plan.entries, zip(*found, strict=True), strict=True)
    }
    weights = torch.randn(T, dtype=torch.float64)
    for parameter, leaf in zip(plan.parameters.values(), plan.leaves(deltas).values(), strict=True):
        J = jacobian(losses, [parameter])
        if isinstance(leaf, torch.Tensor):
            assert_close(leaf.flatten(1), J)
            continue
        assert_close(leaf.product().flatten(1), J)
        assert_close(leaf.gram(), J @ J.T)
        assert_close(leaf.combine(weights).flatten(), weights @ J)
        double: Any = leaf
        assert_close((double + double).gram(), 4 * J @ J.T)


def test_a_hook_on_a_weight_is_seen():
    trunk, heads = made("two layers")
    next(trunk.parameters()).register_hook(lambda gradient: 2 * gradient)
    J = jacobian(losses_of(trunk, heads), [*trunk.parameters()])
    weights = backward(losses_of(trunk, heads), NashMTL(), trunk)
    assert_close(flat_gradient(trunk), weights @ J)


def test_a_method_that_reads_gradients_has_them():
    trunk, heads = made("two layers")
    J = jacobian(losses_of(trunk, heads), [*trunk.parameters()])
    backward(losses_of(trunk, heads), TrimmedMean(), trunk)
    assert_close(flat_gradient(trunk), TrimmedMean()(J))


@pytest.mark.parametrize("name", ["two layers", "convolution", "embedding"])
def test_under_autocast_sums_are_in_float32(name):
    trunk, heads = made(name, torch.float32)
    exact_trunk, exact_heads = copy.deepcopy((trunk, heads))
    exact = jacobian(losses_of(exact_trunk, exact_heads), [*exact_trunk.parameters()])
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(trunk, heads)
    J = jacobian(losses, [*trunk.parameters()])
    weights = backward(losses, NashMTL(), trunk)
    gradient = flat_gradient(trunk)
    assert gradient.dtype == torch.float32
    # Not rounded to 16 bits once more: no farther from the exact one than what autograd gives, task by task.
    ours, theirs = (weights @ exact - gradient).norm(), (weights @ exact - weights @ J).norm()
    assert ours <= 1.5 * theirs + 1e-6


@pytest.mark.parametrize("own", [False, True])
def test_rows_of_16_bits_are_summed_in_float32(own):
    torch.manual_seed(0)
    x, deltas, weights = torch.randn(6, 5).bfloat16(), torch.randn(3, 6, 4).bfloat16(), torch.rand(3)
    layer = Linear(get_gradient_edge(torch.ones((), requires_grad=True)), x, transposed=False)
    if own:
        leaf: Any = OwnRows([layer], [deltas[0]], [Order(3, together=True)])
        J = x.float().view(3, 2, 5).mT @ deltas[0].float().view(3, 2, 4)
    else:
        leaf = SharedInputs([layer], [deltas])
        J = x.float().mT @ deltas.float()
    assert_close(leaf.combine(weights).flatten(), weights @ J.flatten(1))
    assert_close(leaf.gram(), J.flatten(1) @ J.flatten(1).mT)


def test_sparse_tables_take_sparse_gradients():
    torch.manual_seed(0)
    words = torch.tensor([[0, 3, 3], [7, 0, 29]])
    dense, sparse = nn.Embedding(30, 4), nn.Embedding(30, 4, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    heads = nn.Linear(12, T)
    for table in (dense, sparse):
        backward([*heads(table(words).flatten(1)).mean(0).tanh()], NashMTL(), table)
    gradient = existing(sparse.weight.grad)
    assert gradient.is_sparse
    assert gradient.coalesce().indices().tolist() == [[0, 3, 7, 29]]
    assert_close(gradient.to_dense(), dense.weight.grad)


@pytest.mark.parametrize("name", ["two layers", "convolution", "padding", "twice"])
def test_several_tasks_in_a_pass(name):
    trunk, heads = made(name)
    J = jacobian(losses_of(trunk, heads), [*trunk.parameters()])
    weights = backward(losses_of(trunk, heads), NashMTL(), trunk, chunk_size=7)
    assert_close(flat_gradient(trunk), weights @ J)


def test_a_hook_on_a_layers_outputs_is_seen():
    trunk, heads = made("two layers")

    def doubled(layer, x, output):
        output.register_hook(lambda gradient: 2 * gradient)

    trunk.layers["one"].register_forward_hook(doubled)
    J = jacobian(losses_of(trunk, heads), [*trunk.parameters()])
    weights = backward(losses_of(trunk, heads), NashMTL(), trunk)
    assert_close(flat_gradient(trunk), weights @ J)


@pytest.mark.parametrize("unit", [1e-22, 1e20])
def test_the_unit_of_the_losses_changes_nothing(unit):
    trunk, heads = made("two layers", torch.float32)
    expected = backward(losses_of(trunk, heads), NashMTL(), trunk)
    trunk.zero_grad()
    weights = backward([loss * unit for loss in losses_of(trunk, heads)], NashMTL(), trunk)
    assert_close(weights * unit, expected, rtol=1e-3, atol=1e-5)


def test_inputs_far_from_zero_and_deltas_that_sum_up_to_nothing():
    """As years before a layer whose intercepts are fitted: the products of the rows cancel, the gradients do not."""
    torch.manual_seed(0)
    inputs, targets = 2000 + torch.randn(32, 256), torch.randn(3, 32, 1)
    trunk, heads = nn.Linear(256, 256), nn.ModuleList(nn.Linear(256, 1) for _ in range(3))
    with torch.no_grad():
        trunk.weight /= 2000
        for head, target in zip(heads, targets, strict=True):
            head.bias += (target - head(trunk(inputs))).mean()
    outputs = [head(trunk(inputs)) for head in heads]
    losses = [((output - target) ** 2).mean() for output, target in zip(outputs, targets, strict=True)]
    exact = torch.stack([torch.autograd.grad(x, trunk.weight, retain_graph=True)[0].flatten() for x in losses]).double()
    collected = collect(losses, [trunk.weight])
    assert isinstance(collected.gradients.leaves["0"], SharedInputs)
    gram = exact @ exact.mT
    torch.testing.assert_close(collected.gram(), gram, rtol=1e-4, atol=1e-4 * gram.abs().max().item())
