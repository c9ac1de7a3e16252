"""Per-task gradients: equal to a plain loop, and each task's made of its own data alone."""

import pytest
import torch
from torch.nn import functional

from mtrl.gradients import linear, linear_task_gradients, over_tasks

T, B = 4, 6


def parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    shared = {
        "in.weight": normal(5, 8),
        "in.bias": normal(1, 8),
        "gain": normal(1, 8),
        "out.weight": normal(8, 3),
        "out.bias": normal(1, 3),
    }
    return shared, {"head": normal(T, 3, 2)}, normal(T, B, 5), normal(T, B, 2)


def loss(tape, shared, own, x, y):
    hidden = functional.gelu(linear(shared, "in", x, tape, x.dtype)) * shared["gain"]
    error = linear(shared, "out", hidden, tape, x.dtype).tanh() @ own["head"] - y
    return (error**2).mean(), error.abs().max()


def loop(shared, own, x, y):
    """Autograd, task by task."""
    for task in range(T):
        leaves = {k: v.clone().requires_grad_() for k, v in shared.items()}
        mine = {k: v[task].clone().requires_grad_() for k, v in own.items()}
        value, _ = loss({}, leaves, mine, x[task], y[task])
        gradients = torch.autograd.grad(value, [*leaves.values(), *mine.values()])
        yield value, dict(zip([*leaves, *mine], gradients, strict=True))


def test_equal_to_a_plain_loop():
    shared, own, x, y = parameters()
    gradients, own_gradients, losses, _ = linear_task_gradients(
        over_tasks(loss), shared, own, x, y, num_tasks=T, num_rows=B
    )
    values, expected = zip(*loop(shared, own, x, y), strict=True)
    torch.testing.assert_close(losses, torch.stack(values))
    torch.testing.assert_close(own_gradients["head"], torch.stack([e["head"] for e in expected]))
    flat = torch.stack([torch.cat([e[name].flatten() for name in shared]) for e in expected])
    torch.testing.assert_close(gradients.gram(), flat @ flat.T)
    for task in range(T):  # a weight of one takes a single task's gradient out
        alone = gradients.combine(functional.one_hot(torch.tensor(task), T).double())
        for name in shared:
            torch.testing.assert_close(alone[name], expected[task][name])
    weights = torch.randn(T, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    combined = gradients.combine(weights)
    torch.testing.assert_close(torch.cat([combined[name].flatten() for name in shared]), weights @ flat)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_tasks_data_do_not_touch_a_tasks_gradients(dtype):
    shared, own, x, y = parameters(dtype)
    before = linear_task_gradients(over_tasks(loss), shared, own, x, y, num_tasks=T, num_rows=B)
    changed = x.clone()
    changed[2] += 1
    after = linear_task_gradients(over_tasks(loss), shared, own, changed, y, num_tasks=T, num_rows=B)
    others = [0, 1, 3]
    assert torch.equal(before[0].gram()[others][:, others], after[0].gram()[others][:, others])
    assert not torch.equal(before[0].gram()[2, 2], after[0].gram()[2, 2])
    assert torch.equal(before[1]["head"][others], after[1]["head"][others])
    for task in others:
        one = functional.one_hot(torch.tensor(task), T).to(dtype)
        for a, b in zip(before[0].combine(one).values(), after[0].combine(one).values(), strict=True):
            assert torch.equal(a, b)


def test_in_bfloat16_the_gram_matrix_stays_semidefinite():
    shared, own, x, y = parameters(torch.float32)

    def rounded(tape, shared, own, x, y):
        hidden = linear(shared, "in", x, tape, torch.bfloat16).tanh() * shared["gain"]
        error = linear(shared, "out", hidden, tape, torch.bfloat16) @ own["head"] - y
        return (error**2).mean(), error.mean()

    # Tasks with nearly the same data have a nearly singular Gram matrix.
    x, y = x[:1] + 1e-3 * x, y[:1] + 1e-3 * y
    own = {"head": own["head"][:1].expand(T, -1, -1)}
    gram = linear_task_gradients(over_tasks(rounded), shared, own, x, y, num_tasks=T, num_rows=B)[0].gram()
    assert gram.dtype == torch.float32
    assert torch.equal(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram.double()).min() >= -1e-5 * gram.trace()
