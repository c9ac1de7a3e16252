"""Each sample of a batch a task: all gradients from one backward pass, where samples go through the model alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, LinearScalarization, NashMTL
from mtrl.gradients import own_rows
from mtrl.gradients.leaves import TaskGradients
from mtrl.gradients.losses import read_losses
from mtrl.gradients.sample_passes import sample_passes

T = 60
"""Samples; more than the powers of two in a pass."""


class Text(nn.Module):
    """A transformer over words `[T, length]`; inside, samples come first or second."""

    def __init__(self, first=True, between_samples=False):
        super().__init__()
        self.first, self.between_samples = first, between_samples
        self.words, self.places = nn.Embedding(20, 8, padding_idx=0), nn.Parameter(torch.randn(1, 5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=first != between_samples)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        z = self.words(x) + self.places
        z = self.block(z if self.first else z.transpose(0, 1))
        return self.out(z).mean((1, 2) if self.first else (0, 2))


class Twice(nn.Module):
    """A layer that is used twice, and samples that are changed on the way."""

    def __init__(self, change=lambda z: z):
        super().__init__()
        self.one, self.two, self.change = nn.Linear(6, 6), nn.Linear(6, 1, bias=False), change

    def forward(self, x):
        return self.two(self.one(self.change(self.one(x).tanh())))


class Changed(nn.Module):
    """A square parameter, transposed on its way to where rows meet it."""

    def __init__(self, change):
        super().__init__()
        self.weight, self.change = nn.Parameter(torch.rand(4, 4)), change

    def forward(self, x):
        return self.change(x.view(T, 4, 4), self.weight).tanh().mean((1, 2))


class Hooked(nn.Module):
    """Layers whose nodes, not their outputs, have a hook."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            x.grad_fn.register_hook(lambda gradients, _: tuple(None if g is None else 2 * g for g in gradients))
        return x.mean(1)


class Some(nn.Module):
    """One layer for the rows that are above a bound, another for all."""

    def __init__(self, bound):
        super().__init__()
        self.one, self.two, self.bound = nn.Linear(6, 6), nn.Linear(6, 6), bound

    def forward(self, x):
        some = (x[:, 0] > self.bound).nonzero()[:, 0]
        return self.two(x).index_add(0, some, self.one(x[some])).tanh().mean(1)


def conv(*between):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), *between, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 1)
    )


def image():
    return torch.randn(T, 3, 4, 4)


def words():
    return torch.randint(0, 20, (T, 5))


def rows():
    return torch.randn(T, 6)


def squares():
    return torch.randn(T, 16)


ALONE = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 9), nn.LayerNorm(9), nn.ReLU(), nn.Linear(9, 1)), rows),
    "convolution": (conv, image),
    "text": (Text, words),
    "text, samples second": (lambda: Text(first=False), words),
    "twice": (Twice, rows),
}
TOGETHER = {
    "batch norm": (lambda: conv(nn.BatchNorm2d(4)), image),
    "attention between samples": (lambda: Text(between_samples=True), words),
    "centred": (lambda: Twice(lambda z: z - z.mean(0)), rows),
    "a neighbour": (lambda: Twice(lambda z: z + 1e-4 * z.roll(1, 0)), rows),
    "one pair": (lambda: Twice(lambda z: torch.cat([z[:1] + z[7:8], z[1:]])), rows),
    "in another order": (lambda: Twice(lambda z: z.flip(0)), rows),
}
NOT_KNOWN = {
    "group norm": (lambda: conv(nn.GroupNorm(2, 4)), image),
    "weight used directly": (lambda: nn.Sequential(nn.Linear(6, 1), nn.PReLU()), rows),
    "a transposed bias": (lambda: Changed(lambda x, w: x + w.t()), squares),
    "a transposed layer norm": (lambda: Changed(lambda x, w: functional.layer_norm(x, [4, 4], w.t(), w)), squares),
    "complex inputs": (
        lambda: Changed(lambda x, w: torch.view_as_real(torch.complex(x, x.sin()) @ w.cdouble()).sum(-1)),
        squares,
    ),
    "sparse inputs": (lambda: Changed(lambda x, w: (x.flatten(0, 1).to_sparse() @ w).view_as(x)), squares),
    "hooked nodes": (lambda: Hooked(nn.Linear(6, 6)), rows),
    "a hooked layer norm": (lambda: Hooked(nn.LayerNorm(6)), rows),
    "some rows": (lambda: Some(0.0), rows),
    "no rows": (lambda: Some(100.0), rows),
}


def made(model, x, dtype=torch.float64):
    torch.manual_seed(0)
    model, x = model().to(dtype), x()
    x = x.to(dtype) if x.is_floating_point() else x
    return model, lambda: (model(x).reshape(T) - torch.linspace(-1, 1, T, dtype=dtype)) ** 2


def jacobian(losses, parameters):
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True) for loss in losses]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


def from_one_pass(model, losses):
    return sample_passes(read_losses(losses).roots, [*model.parameters()], (), torch.ones(()))


@pytest.mark.parametrize("name", ALONE)
def test_leaves_are_the_jacobians_columns(name):
    model, losses = made(*ALONE[name])
    J, passes = jacobian(losses(), [*model.parameters()]), from_one_pass(model, losses())
    gradients = TaskGradients({str(i): leaf for i, leaf in enumerate(passes.leaves)})
    unit, weights = passes.unit, torch.randn(T, dtype=torch.float64)
    assert_close(gradients.gram() * unit * unit[:, None], J @ J.T)
    assert_close(torch.cat([x.flatten() for x in gradients.combine(weights * unit).values()]), weights @ J)
    assert_close(torch.cat([x.flatten(1) for x in gradients.whole().values()], 1) * unit[:, None], J)


@pytest.mark.parametrize("name", ["convolution", "text"])
def test_a_gram_matrix_that_is_made_in_parts(name, monkeypatch):
    monkeypatch.setattr(own_rows, "ENTRIES", 5 * T * 5)
    model, losses = made(*ALONE[name])
    J, passes = jacobian(losses(), [*model.parameters()]), from_one_pass(model, losses())
    gram = TaskGradients({str(i): leaf for i, leaf in enumerate(passes.leaves)}).gram()
    assert_close(gram * passes.unit * passes.unit[:, None], J @ J.T)


@pytest.mark.parametrize("name", [*TOGETHER, *NOT_KNOWN])
def test_samples_that_see_each_other_are_noticed(name):
    model, losses = made(*(TOGETHER | NOT_KNOWN)[name])
    assert from_one_pass(model, losses()) is None


@pytest.mark.parametrize("name", [*ALONE, *TOGETHER, *NOT_KNOWN])
def test_the_step_is_that_of_the_jacobian(name):
    model, losses = made(*(ALONE | TOGETHER | NOT_KNOWN)[name])
    J = jacobian(losses(), [*model.parameters()])
    weights = backward(losses(), MGDA(), model)
    gradient = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])
    assert_close(gradient, weights @ J)
    assert_close(gradient, MGDA()(J @ J.T) @ J, rtol=1e-5, atol=1e-6)


def test_in_float32_and_bfloat16():
    model, losses = made(*ALONE["mlp"], torch.float32)
    assert from_one_pass(model, losses()) is not None
    with torch.autocast("cpu", torch.bfloat16):
        half = losses()
    passes = from_one_pass(model, half)
    J = jacobian(half, [*model.parameters()])
    gram = (
        TaskGradients({str(i): leaf for i, leaf in enumerate(passes.leaves)}).gram()
        * passes.unit
        * passes.unit[:, None]
    )
    assert_close(gram.float(), J @ J.T, rtol=0.05, atol=0.02 * float((J @ J.T).max()))


@pytest.mark.parametrize("unit", [1e-34, 1e-36])
def test_gradients_too_small_to_tell_have_a_pass_each(unit):
    torch.manual_seed(0)
    model, x = Twice(lambda z: z - z.mean(0)), torch.randn(8, 6)
    assert from_one_pass(model, model(x)[:, 0].square() * unit) is None


def test_heads_take_the_gradient_of_the_sum():
    model, losses = made(*ALONE["mlp"])
    backward(losses(), NashMTL(), model[0])
    expected = torch.autograd.grad(losses().sum(), [*model[3].parameters()])
    assert_close([p.grad for p in model[3].parameters()], [*expected])


def test_few_losses_and_separate_ones_have_a_pass_each():
    model, losses = made(*ALONE["mlp"])
    assert from_one_pass(model, losses()[:4]) is None
    assert from_one_pass(model, [*losses()]) is not None  # of one vector all the same
    assert from_one_pass(model, [loss * 1 for loss in losses()]) is None


def test_a_hook_on_a_layers_outputs_is_seen():
    model, losses = made(*ALONE["mlp"])

    def doubled(layer, x, output):
        output.register_hook(lambda gradient: 2 * gradient)

    model[0].register_forward_hook(doubled)
    J = jacobian(losses(), [*model.parameters()])
    weights = backward(losses(), MGDA(), model)
    assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), weights @ J)


@pytest.mark.parametrize("there", [slice(None), slice(1, None, 2)])
@pytest.mark.parametrize("method", [MGDA(), LinearScalarization()])
def test_a_vector_is_the_list_of_its_elements(method, there):
    model, losses = made(*ALONE["mlp"])
    present = torch.zeros(T, dtype=torch.bool)
    present[there] = True
    seen: list[torch.Tensor] = []
    vector = losses()
    vector.register_hook(seen.append)
    ours = backward(vector, method, model, present=present)
    gradients = [p.grad for p in model.parameters()]
    model.zero_grad()
    assert_close(backward([*losses()], method, model, present=present), ours)
    assert_close([p.grad for p in model.parameters()], gradients)
    assert seen
    assert all(gradient.shape == (T,) and (gradient[~present] == 0).all() for gradient in seen)


def test_a_hook_on_one_of_the_losses_is_met():
    model, losses = made(*ALONE["mlp"])
    parts = [*losses()]
    parts[3].register_hook(lambda gradient: 5 * gradient)
    J = jacobian(losses(), [*model.parameters()])
    backward(parts, LinearScalarization(), model)
    J[3] *= 5
    assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), J.mean(0))
