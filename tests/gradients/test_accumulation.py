"""What is left in `.grad`: it is the parameter's own, of its layout, and hooks see it once."""

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, LinearScalarization, NashMTL
from tests.existing import existing
from tests.gradients.models import channels_last
from tests.gradients.supervised import Model
from tests.oracles.jacobian import flat, jacobian


def weighted(method, losses, shared, **options):
    """`.grad` of the shared parameters, and what it needs to be by the returned weights."""
    J = jacobian(losses, shared)
    weights = backward(losses(), method, shared, **options)
    return flat(shared), weights.double() @ J


@pytest.mark.parametrize("method", [MGDA(), LinearScalarization([1, 1])])
def test_no_two_parameters_have_one_gradient(method):
    torch.manual_seed(0)
    trunk, x = nn.Linear(4, 4), torch.randn(8, 4)
    W, D, V = (nn.Parameter(torch.randn(4, 4)) for _ in range(3))

    def losses():
        z = trunk(x)
        return [(z @ (W + D)).pow(2).mean(), (z @ V).pow(2).mean()]

    backward(losses(), method, trunk)
    once, of_bias = existing(W.grad).clone(), existing(D.grad)
    assert existing(W.grad).untyped_storage().data_ptr() != of_bias.untyped_storage().data_ptr()
    backward(losses(), method, trunk)
    assert_close(W.grad, 2 * once)
    assert_close(D.grad, 2 * once)
    clip_grad_norm_([W, D], 1e-3)
    assert_close(torch.hypot(existing(W.grad).norm(), existing(D.grad).norm()), torch.tensor(1e-3))


@pytest.mark.parametrize("method", [MGDA(), LinearScalarization()])
def test_expanded_gradients_are_written_out(method):
    model, own = Model(), nn.Parameter(torch.zeros(5, dtype=torch.float64))
    losses = model.losses()
    losses[0] = losses[0] + own.sum()  # whose gradient is one number, expanded
    backward(losses, method, [*model.trunk.parameters()])
    gradient = existing(own.grad)
    assert gradient.is_contiguous()
    gradient[0] = 7
    assert gradient[1] != 7


def test_layouts_are_kept():
    conv = nn.Conv2d(3, 4, 3)
    channels_last(conv)
    heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(3))
    x = torch.randn(2, 3, 5, 5)

    def losses():
        return [h(conv(x).mean((2, 3))).pow(2).mean() for h in heads]

    for method in (MGDA(), LinearScalarization()):
        conv.zero_grad()
        got, expected = weighted(method, losses, [*conv.parameters()])
        assert_close(got, expected, rtol=1e-5, atol=1e-6)
        assert existing(conv.weight.grad).is_contiguous(memory_format=torch.channels_last)


def test_hooks_after_accumulation_fire_once():
    model, fired = Model(), []
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda p, name=name: fired.append((name, p.grad is not None)))
    backward(model.losses(), NashMTL(), model.trunk)
    assert sorted(fired) == sorted((name, True) for name, _ in model.named_parameters())


@pytest.mark.parametrize("method", [MGDA(), NashMTL(), LinearScalarization()])
@pytest.mark.parametrize("chunk_size", [1, 3])
def test_sparse_embeddings_stay_sparse(method, chunk_size):
    torch.manual_seed(0)
    table, head, own = nn.Embedding(10, 4, sparse=True), nn.Linear(4, 3), nn.Embedding(10, 1, sparse=True)
    rows = torch.tensor([1, 2, 2, 5])

    def losses():
        return list((head(table(rows)) ** 2).mean(0) + own(rows).mean())

    got, expected = weighted(method, losses, [table.weight], chunk_size=chunk_size)
    assert_close(got, expected, rtol=1e-5, atol=1e-6)
    for embedding in (table, own):
        assert existing(embedding.weight.grad).is_sparse
    before = table.weight.detach().clone()
    torch.optim.SparseAdam([*table.parameters(), *own.parameters()]).step()
    changed = (table.weight != before).any(1).nonzero().flatten()
    assert changed.tolist() == [1, 2, 5]


@pytest.mark.parametrize("method", [MGDA(), NashMTL(), LinearScalarization()])
@pytest.mark.parametrize("at_features", [False, True])
def test_complex_parameters(method, at_features):
    torch.manual_seed(0)
    w = nn.Parameter(torch.randn(4, 4, dtype=torch.cdouble))
    heads, x = nn.ModuleList(nn.Linear(4, 1) for _ in range(2)).double(), torch.randn(8, 4).double()

    def features():
        return torch.fft.rfft(x, n=6) @ w

    def losses(z=None):
        z = features() if z is None else z
        return [h(torch.fft.irfft(z, n=4)).pow(2).mean() for h in heads]

    J = jacobian(losses, [w])
    z = features()
    weights = backward(losses(z), method, [w], features=z if at_features else None)
    assert_close(flat([w]), weights @ J)
    if not at_features:
        assert_close(weights, method(J @ J.T, torch.stack(losses())))


@pytest.mark.parametrize("update_every", [1, 2])
def test_float16_parameters_with_weights_beyond_their_range(update_every):
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 4).half(), nn.ModuleList(nn.Linear(4, 1) for _ in range(2)).half()
    x, method = torch.randn(8, 4).half(), NashMTL()
    for _ in range(update_every):
        trunk.zero_grad()
        weights = backward(
            [h(trunk(x)).pow(2).mean() * 1e-4 for h in heads], method, trunk, update_every=update_every, check=False
        )
        assert weights.max() > torch.finfo(torch.float16).max / 16
        length = torch.stack([existing(p.grad).float().norm() for p in trunk.parameters()]).norm()
        assert_close(length.item(), 2**0.5, rtol=0.05, atol=0)  # of Nash-MTL's update: the root of the number of tasks
