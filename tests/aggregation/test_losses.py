"""Methods that read losses: closed forms, the papers' objectives by autograd, learned weights beside their oracles."""

import copy
import math
import re
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mtrl import aggregation
from mtrl.aggregation import (
    DBMTL,
    FAMO,
    IMTL,
    IMTLL,
    STCH,
    DynamicWeightAverage,
    ExcessMTL,
    GeometricMean,
    GradNorm,
    LossMethod,
    Method,
    RandomLossWeighting,
    ScaleInvariant,
    UncertaintyWeighting,
)
from mtrl.aggregation.imtl_g import IMTLG
from mtrl.gradients import TaskGradients
from tests.aggregation.gradients import conflicting, generator, gram, normal
from tests.oracles import loss_weighting

LOSSES = torch.tensor([0.3, 2.0, 0.01, 7.0], dtype=torch.float64)
NEED_LOSSES: list[type[Method]] = [
    DynamicWeightAverage,
    FAMO,
    GeometricMean,
    GradNorm,
    IMTL,
    IMTLL,
    ScaleInvariant,
    STCH,
    UncertaintyWeighting,
]
NEED_POSITIVE = [FAMO, GeometricMean, GradNorm, IMTL, IMTLL, ScaleInvariant, UncertaintyWeighting]
LEARNED = [FAMO, GradNorm, IMTL, IMTLL, UncertaintyWeighting]


def close(actual: Tensor, expected: Tensor, rtol: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected.to(actual), rtol=rtol, atol=1e-12)


def descent(steps: int, T: int = 4, seed: int = 0) -> Tensor:
    """Losses of unlike sizes that fall at unlike rates, noisily, `[steps, T]`."""
    rates = 0.05 * torch.rand(T, generator=generator(seed), dtype=torch.float64)
    time = torch.arange(steps, dtype=torch.float64)[:, None]
    return LOSSES[:T] * (-rates * time + 0.1 * normal(steps, T, seed=seed)).exp()


def step(method: Method, losses: Tensor, G: Tensor | None = None) -> Tensor:
    """A call, and FAMO's second half."""
    weights = method(torch.eye(losses.shape[-1]).double().expand(*losses.shape, -1) if G is None else G, losses)
    if isinstance(method, FAMO):
        method.update(losses * 0.9 ** torch.arange(losses.shape[-1]))
    return weights


def state(method: Method) -> dict[str, Tensor]:
    return copy.deepcopy(dict(method.state_dict()))


# Closed forms


def test_scale_invariant() -> None:
    close(ScaleInvariant()(None, LOSSES), 1 / LOSSES)


def test_geometric_mean() -> None:
    close(GeometricMean()(None, LOSSES), LOSSES.prod() ** 0.25 / (4 * LOSSES))


def test_famo_before_it_has_learned() -> None:
    close(FAMO()(None, LOSSES), (1 / LOSSES) / (1 / LOSSES).sum())


def test_famo_first_step_lowers_what_improved_more() -> None:
    method = FAMO(learning_rate=0.025, gamma=0.0)
    method(None, LOSSES)
    method.update(LOSSES * torch.tensor([0.5, 0.9, 1.1, 0.98]))
    # Logarithms fell by 0.69, 0.11, -0.10, 0.02: the mean, by equal shares, is 0.18.
    assert method.logits is not None
    close(method.logits[0], torch.tensor([-0.025, 0.025, 0.025, 0.025]), rtol=1e-5)


def test_famo_that_is_never_updated_says_so_once() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        learning, forgotten = FAMO(), FAMO()
        for losses in descent(30):
            step(learning, losses)
            forgotten(None, losses)
    assert [str(warning.message) for warning in told] == [
        f"{forgotten} was called 10 times without update, so its logits stay as they are: "
        "call update(losses) after the optimizer's step, with the same data"
    ]


@pytest.mark.parametrize("window", [1, 3])
def test_dynamic_weight_average(window: int) -> None:
    method, epochs = DynamicWeightAverage(temperature=1.5, window=window), descent(4)
    weights = [[method(None, loss * shift) for shift in torch.linspace(0.5, 1.5, window)] for loss in epochs]
    for epoch, calls in enumerate(weights):
        expected = torch.ones(4).double()
        if epoch >= 2:
            # Each epoch's mean is the same multiple of its losses.
            expected = 4 * (epochs[epoch - 1] / epochs[epoch - 2] / 1.5).softmax(0)
        for call in calls:
            close(call, expected)


def test_dynamic_weight_average_equal_ratios() -> None:
    method = DynamicWeightAverage(window=1)
    for factor in (1.0, 0.5, 0.7, 0.1):
        close(method(None, factor * LOSSES), torch.ones(4))


def test_dynamic_weight_average_of_a_loss_of_zero_counts_it_as_unchanged() -> None:
    method, losses = DynamicWeightAverage(window=1), torch.tensor([1.0, 0.0, 3.0])
    for _ in range(4):
        close(method(None, losses), torch.ones(3))


def test_random_loss_weighting_sums_to_one_and_is_fair() -> None:
    method = RandomLossWeighting(seed=5)
    draws = torch.stack([method(None, LOSSES) for _ in range(4000)])
    close(draws.sum(-1), torch.ones(4000))
    assert (draws.mean(0) - 0.25).abs().max() < 5 * draws.std() / 4000**0.5
    assert not torch.equal(draws[0], RandomLossWeighting(seed=6)(None, LOSSES))
    assert torch.equal(draws[0], RandomLossWeighting(seed=5)(None, LOSSES))


def test_random_loss_weighting_has_the_softmax_of_normals() -> None:
    # A ratio of weights is the exponential of a normal number of variance 2.
    method = RandomLossWeighting()
    draws = torch.stack([method(None, LOSSES).log() for _ in range(4000)])
    difference = (draws[:, 0] - draws[:, 1]) / 2**0.5
    for edge in (-2.0, -1.0, 0.0, 0.5, 1.5):
        share = 0.5 * (1 + math.erf(edge / 2**0.5))
        assert abs((difference < edge).double().mean().item() - share) < 5 * (share * (1 - share) / 4000) ** 0.5
    assert abs(torch.corrcoef(difference.unfold(0, 3999, 1))[0, 1]) < 5 / 4000**0.5


def test_uncertainty_weighting_ends_at_the_optimum() -> None:
    method = UncertaintyWeighting(learning_rate=0.05)
    for _ in range(3000):
        weights = method(None, LOSSES)
    assert method.log_variances is not None
    close(method.log_variances[0], LOSSES.log(), rtol=1e-5)
    close(weights, 1 / (2 * LOSSES), rtol=1e-5)


def test_imtl_l_ends_at_scaled_losses_of_one() -> None:
    method = IMTLL(learning_rate=0.05)
    for _ in range(3000):
        weights = method(None, LOSSES)
    close(weights * LOSSES, torch.ones(4), rtol=1e-5)


def test_imtl_is_the_gradient_half_on_scaled_losses() -> None:
    method, loss_half, G = IMTL(), IMTLL(), gram(conflicting(4))
    for losses in descent(20):
        scales = loss_half(None, losses)
        close(method(G, losses), scales * IMTLG()(G * scales * scales[:, None]))
    assert scales.std() > 0.1


def test_imtl_projections_stay_equal() -> None:
    method, J = IMTL(), conflicting(4)
    for losses in descent(50):
        update = method(gram(J), losses) @ J
    projections = J @ update / J.norm(dim=1)
    close(projections, projections.mean().expand(4))


def test_stch() -> None:
    p, z = [1.0, 0.5, 3.0, 0.1], [0.1, 0.2, 0.0, -1.0]
    preference, ideal = (torch.tensor(x, dtype=torch.float64) for x in (p, z))
    weighted = preference * (LOSSES - ideal)
    close(STCH(mu=0.7)(None, LOSSES), (LOSSES / 0.7).softmax(0))
    close(STCH(mu=0.7, preference=p, ideal=z)(None, LOSSES), preference * (weighted / 0.7).softmax(0))
    close(STCH(mu=1e-3)(None, LOSSES), torch.tensor([0.0, 0, 0, 1]))
    with pytest.raises(ValueError, match="STCH needs one number in preference per task, got 4 for 2 tasks"):
        STCH(preference=p)(None, LOSSES[:2])


def test_grad_norm_moves_towards_equal_norms() -> None:
    # Losses that do not fall: all rates are one, and the norms meet at w_i ~ 1 / |g_i|.
    method, norms = GradNorm(learning_rate=0.01), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    for _ in range(2000):
        weights = method(torch.diag(norms**2), torch.ones(3))
    close(weights.sum(), torch.tensor(3.0))
    torch.testing.assert_close(weights, 3 / norms / (1 / norms).sum(), rtol=0.05, atol=0)


def test_grad_norm_favours_what_trains_slowly() -> None:
    for slow in range(3):
        method, losses = GradNorm(), torch.ones(3)
        method(torch.eye(3), losses)
        losses = 0.1 * losses
        losses[slow] = 0.9
        for _ in range(20):
            weights = method(torch.eye(3), losses)
        assert weights.argmax() == slow
        assert weights[slow] > 1.2


def test_excess_mtl_by_coordinates() -> None:
    # Written out for each task: E = sum g^2 / sqrt(sum of g^2 so far), weights times exp(step E / first E).
    method, weights, roots, first = ExcessMTL(step_size=0.3), torch.full((3,), 1 / 3).double(), [], None
    for call in range(5):
        J = normal(3, 10, seed=call)
        gradients = TaskGradients({"a": J[:, :4].view(3, 2, 2), "b.c": J[:, 4:]})
        roots.append(J**2)
        risks = torch.tensor([(J[i] ** 2 / torch.stack(roots)[:, i].sum(0).sqrt()).sum() for i in range(3)]).double()
        first = risks if first is None else first
        weights = weights * (0.3 * risks / first).exp()
        weights = weights / weights.sum()
        direction, found = method.direction(gradients, torch.ones(3))
        close(found, weights)
        close(torch.cat((direction["a"].flatten(), direction["b.c"])), weights @ J)
    assert weights.max() - weights.min() > 0.01


def test_excess_mtl_isotropic_is_by_coordinates_when_they_are_equal() -> None:
    by_coordinates, isotropic = ExcessMTL(), ExcessMTL()
    for call in range(5):
        J = normal(3, 1, seed=call).expand(3, 9)
        close(isotropic(gram(J)), by_coordinates.direction(TaskGradients({"a": J}), torch.ones(3))[1])


def test_db_mtl_running_means_and_equal_norms() -> None:
    method, means = DBMTL(beta=0.8, sigma=0.5), torch.zeros(4, 10).double()
    for call, losses in enumerate(descent(6), start=1):
        J = normal(4, 10, seed=call)
        past = 0.8 / call**0.5
        means = past * means + (1 - past) * J / losses[:, None]
        gradients = TaskGradients({"a": J[:, :4].view(4, 2, 2), "b.c": J[:, 4:]})
        direction, weights = method.direction(gradients, losses)
        close(weights * means.norm(dim=1), means.norm(dim=1).max().expand(4))
        close(torch.cat((direction["a"].flatten(), direction["b.c"])), weights @ means)


def test_db_mtl_a_loss_that_is_not_positive_leaves_the_mean_and_a_zero_gradient_has_no_weight() -> None:
    method, J, losses = DBMTL(), normal(4, 10), LOSSES.clone()
    before = method.averaged({"a": J}, losses)["a"]
    losses[1], losses[2] = -3.0, 0.0
    after = method.averaged({"a": normal(4, 10, seed=1)}, losses)["a"]
    assert (after == before).all(-1).tolist() == [False, True, True, False]
    close(method(torch.diag(torch.tensor([4.0, 0.0, 1.0])), torch.ones(3)), torch.tensor([1.0, 0.0, 2.0]))


def test_db_mtl_without_a_past_has_the_gradients_of_the_logarithms() -> None:
    J = normal(4, 10)
    close(DBMTL(beta=0.0).averaged({"a": J}, LOSSES)["a"], J / LOSSES[:, None])


# The papers' objectives: a weighted loss has the weights that autograd finds.


@pytest.mark.parametrize(
    ("method", "objective"),
    [
        (ScaleInvariant(), lambda losses: losses.log().sum()),
        (GeometricMean(), lambda losses: losses.prod() ** (1 / len(losses))),
        (STCH(mu=0.3), lambda losses: 0.3 * (losses / 0.3).exp().sum().log()),
        (
            STCH(mu=2.0, preference=[1, 2, 3, 4], ideal=[1, 0, 0, 2]),
            lambda losses: 2 * (torch.arange(1, 5) * (losses - torch.tensor([1.0, 0, 0, 2])) / 2).exp().sum().log(),
        ),
    ],
    ids=["scale_invariant", "geometric_mean", "stch", "stch, preference and ideal"],
)
def test_weights_are_the_objectives_gradient(method: Method, objective: Callable[[Tensor], Tensor]) -> None:
    for values in (LOSSES, *descent(3)):
        losses = values.clone().requires_grad_()
        close(method(None, losses), torch.autograd.grad(objective(losses), losses)[0])


@pytest.mark.parametrize(
    ("method", "name", "objective"),
    [
        (UncertaintyWeighting(), "log_variances", lambda s, losses: (0.5 * (-s).exp() * losses + 0.5 * s).sum()),
        (IMTLL(), "log_scales", lambda s, losses: (s.exp() * losses - s).sum()),
    ],
    ids=["uncertainty_weighting", "imtl_l"],
)
def test_weights_are_the_objectives_gradient_as_they_are_learned(
    method: Method, name: str, objective: Callable[[Tensor, Tensor], Tensor]
) -> None:
    for values in descent(30):
        s = getattr(method, name)[0].clone() if getattr(method, name) is not None else torch.zeros(4).double()
        losses = values.clone().requires_grad_()
        close(method(None, losses), torch.autograd.grad(objective(s, losses), losses)[0])


# Oracles


@pytest.mark.parametrize(
    ("method", "oracle"),
    [
        (UncertaintyWeighting(learning_rate=0.07), loss_weighting.uncertainty_weighting),
        (IMTLL(learning_rate=0.07), loss_weighting.imtl_l),
    ],
)
def test_learned_weights_beside_torchs_adam(method: Method, oracle: Callable[[Tensor, float], Tensor]) -> None:
    losses = descent(200)
    close(torch.stack([method(None, loss) for loss in losses]), oracle(losses, 0.07), rtol=1e-8)


def test_famo_beside_torchs_adam() -> None:
    method, losses, after = FAMO(learning_rate=0.1, gamma=0.01), descent(200), descent(200, seed=1)
    weights = []
    for old, new in zip(losses, after, strict=True):
        weights.append(method(None, old))
        method.update(new)
    close(torch.stack(weights), loss_weighting.famo(losses, after, 0.1, 0.01), rtol=1e-8)


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_grad_norm_beside_torchs_adam(alpha: float) -> None:
    method, losses, norms = GradNorm(alpha, learning_rate=0.05), descent(200), descent(200, seed=2) * 1e-6
    weights = [method(torch.diag(norm**2), loss) for loss, norm in zip(losses, norms, strict=True)]
    close(torch.stack(weights), loss_weighting.grad_norm(losses, norms, alpha, 0.05), rtol=1e-8)
    assert min(w.min() for w in weights) >= 0


def test_famo_beside_torchjd() -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    peer = scalarization.FAMO(4, lr=0.1, weight_decay=0.01).double()
    method, losses, after = FAMO(learning_rate=0.1, gamma=0.01), descent(50), descent(50, seed=1)
    for before, new in zip(losses, after, strict=True):
        old = before.clone().requires_grad_()
        # Its logarithm has an absolute epsilon of 1e-8.
        close(method(None, old), torch.autograd.grad(peer(old), old)[0], rtol=1e-4)
        method.update(new)
        peer.update(new)


def test_the_others_beside_torchjd() -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    for method, peer in (
        (GeometricMean(), scalarization.GeometricMean()),
        (STCH(mu=0.3), scalarization.STCH(0.3, torch.ones(4))),
    ):
        losses = LOSSES.clone().requires_grad_()
        close(method(None, losses), torch.autograd.grad(peer(losses), losses)[0])
    peer, ours = scalarization.DWA(temperature=1.5), DynamicWeightAverage(temperature=1.5, window=2)
    for call, values in enumerate(descent(10)):
        losses = values.clone().requires_grad_()
        close(ours(None, losses), torch.autograd.grad(peer(losses), losses)[0])
        if call % 2:
            peer.step()


# Every method


def test_what_they_need() -> None:
    methods = [aggregation.make(name) for name in aggregation.METHODS]
    needing = {type(method) for method in methods if isinstance(method, Method) and method.needs_losses}
    assert needing == set(NEED_LOSSES)
    positive = {type(method) for method in methods if method.positive_losses}
    assert positive == {*NEED_POSITIVE, DBMTL}
    without_gram = {type(method) for method in methods if isinstance(method, LossMethod)}
    assert without_gram == {aggregation.LinearScalarization, RandomLossWeighting, *NEED_LOSSES} - {GradNorm, IMTL}


@pytest.mark.parametrize("kind", NEED_LOSSES)
def test_losses_of_any_size(kind: type[Method]) -> None:
    method = kind()
    for exponents in ([-12, 12, 0, -12], [12, 12, 12, 12], [-12, -12, -12, -12], [12, -12, 3, 0]):
        losses = 10 ** torch.tensor(exponents).double()
        for _ in range(3):
            weights = step(method, losses)
            assert weights.isfinite().all()
            assert (weights >= 0).all()
            assert (weights > 0).any()
    assert all(value.isfinite().all() for value in method.state_dict().values())


@pytest.mark.parametrize("kind", NEED_LOSSES)
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_losses_that_are_not_positive(kind: type[Method], value: float) -> None:
    """Finite weights for ever, of either sign or order; `solve` refuses where they make no sense."""
    bad = LOSSES.clone()
    bad[1] = value
    for order in ((bad, LOSSES), (LOSSES, bad), (torch.full_like(bad, value), LOSSES)):
        method = kind()
        for losses in order:
            for _ in range(50):
                assert step(method, losses).isfinite().all()
        assert all(value.isfinite().all() for value in method.state_dict().values())
    if kind in NEED_POSITIVE:
        with pytest.raises(ValueError, match=re.escape(f"needs positive losses, got {value} for task 1")):
            kind().solve(torch.eye(4).double(), bad)
    else:
        assert kind().solve(torch.eye(4).double(), bad).weights.isfinite().all()


@pytest.mark.parametrize("kind", [ScaleInvariant, FAMO, GeometricMean])
def test_a_loss_that_is_not_positive_leaves_the_others_alone(kind: type[Method]) -> None:
    # Whatever its value, the weights of the others are those without it, and its own is zero.
    for value in (0.0, -1e-9, -1e9):
        weights = kind()(None, torch.tensor([0.5, value, 3.0], dtype=torch.float64))
        close(weights[[0, 2]], kind()(None, torch.tensor([0.5, 3.0], dtype=torch.float64)))
        assert weights[1] == 0


@pytest.mark.parametrize("kind", [UncertaintyWeighting, IMTLL])
def test_a_loss_that_is_not_positive_does_not_train_its_weight(kind: type[Method]) -> None:
    method = kind()
    losses = torch.tensor([0.5, -2.0], dtype=torch.float64)
    first = method(None, losses)
    for _ in range(100):
        last = method(None, losses)
    assert last[1] == first[1]
    assert last[0] > first[0]


def test_famo_a_loss_that_is_not_positive_takes_no_part_in_update() -> None:
    method, alone = FAMO(), FAMO()
    losses, fall = torch.tensor([0.5, -2.0, 3.0]).double(), torch.tensor([0.5, 0.7, 0.9])
    for famo, there in ((method, [0, 1, 2]), (alone, [0, 2])):
        famo(None, losses[there])
        famo.update(losses[there] * fall[there])
    assert method.logits is not None
    assert alone.logits is not None
    assert method.logits[0, 1] == 0
    close(method.logits[0, [0, 2]], alone.logits[0], rtol=1e-5)


def test_grad_norm_a_loss_that_is_not_positive_does_not_count_in_the_step() -> None:
    # Norms of 1, 2 and 6, of mean 3: the first weight goes up, the last down, and the sum stays.
    method, G = GradNorm(learning_rate=0.025), torch.diag(torch.tensor([1.0, 4.0, 36.0]))
    for expected in ([1.0, 1.0, 1.0], [1.025, 1.0, 0.975]):
        close(method(G, torch.tensor([0.5, -2.0, 3.0])), torch.tensor(expected, dtype=torch.float64), rtol=1e-6)


@pytest.mark.parametrize("kind", NEED_LOSSES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_bad_step_leaves_no_trace(kind: type[Method], value: float) -> None:
    clean, hit, G = kind(), kind(), gram(conflicting(4))
    bad = LOSSES.clone()
    bad[2] = value
    assert step(hit, bad, G).isnan().all()  # before there is any state
    for losses in descent(5):
        torch.testing.assert_close(step(hit, losses, G), step(clean, losses, G), rtol=0, atol=0)
    kept = state(hit)
    assert step(hit, bad, G).isnan().all()
    kept.pop("last_losses", None)  # FAMO's are of the last call, whatever they were
    for name, value_kept in kept.items():
        assert torch.equal(hit.state_dict()[name], value_kept), name
    for losses in descent(5):
        torch.testing.assert_close(step(hit, losses, G), step(clean, losses, G), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [GradNorm, ExcessMTL])
def test_a_bad_gram_matrix_leaves_no_trace(kind: type[Method]) -> None:
    clean, hit, G = kind(), kind(), gram(conflicting(4))
    for losses in descent(5):
        assert hit(G * torch.nan, losses).isnan().all()
        torch.testing.assert_close(hit(G, losses), clean(G, losses), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [ExcessMTL, DBMTL])
def test_bad_gradients_leave_no_trace(kind: type[ExcessMTL | DBMTL]) -> None:
    clean, hit = kind(), kind()
    for call in range(5):
        J = normal(3, 6, seed=call)
        bad = J.clone()
        bad[1, 2] = torch.nan
        after, expected = (method.direction(TaskGradients({"a": J}), torch.ones(3)) for method in (hit, clean))
        torch.testing.assert_close(after, expected, rtol=0, atol=0)
        spoilt = copy.deepcopy(hit)
        assert spoilt.direction(TaskGradients({"a": bad}), torch.ones(3))[1].isnan().all()
        for name, value in spoilt.state_dict().items():
            assert value.isfinite().all(), name


@pytest.mark.parametrize("kind", [*NEED_LOSSES, ExcessMTL])
def test_state_goes_to_another_method_at_any_stage(kind: type[Method]) -> None:
    """Between none, two and thirty calls, in all directions; then both go on alike."""
    G = gram(conflicting(4))
    for calls in (0, 2, 30):
        for others in (0, 2, 30):
            source, target = kind(), kind()
            for losses in descent(calls):
                step(source, losses, G)
            for losses in descent(others, seed=1):
                step(target, losses, G)
            target.load_state_dict(source.state_dict())
            for losses in descent(30, seed=2):
                assert torch.equal(step(target, losses, G), step(source, losses, G))


def test_state_of_gradients_goes_to_another_method() -> None:
    for kind in (ExcessMTL, DBMTL):
        source, target = kind(), kind()
        for call in range(6):
            J = normal(3, 6, seed=call)
            if call == 3:
                target.load_state_dict(source.state_dict())
            expected = source.direction(TaskGradients({"a": J}), torch.ones(3))
            if call >= 3:
                torch.testing.assert_close(
                    target.direction(TaskGradients({"a": J}), torch.ones(3)), expected, rtol=0, atol=0
                )


@pytest.mark.parametrize("kind", [*LEARNED, DynamicWeightAverage, ExcessMTL])
def test_another_number_of_tasks_is_refused(kind: type[Method]) -> None:
    method = kind()
    step(method, LOSSES)
    with pytest.raises(ValueError, match="make a new one") as error:
        step(method, LOSSES[:3])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [*LEARNED, DynamicWeightAverage])
def test_rows_of_a_batch_do_not_mix(kind: type[Method]) -> None:
    batch, single, G = kind(), kind(), gram(conflicting(4))
    for losses, drawn in zip(descent(40), descent(40, seed=1), strict=True):
        others = drawn * (torch.nan if drawn[0] < 0.2 else 1)
        rows = step(batch, torch.stack((others, losses)), G.expand(2, 4, 4))
        close(rows[1], step(single, losses, G))


def test_famo_update_comes_after_a_call() -> None:
    method = FAMO()
    with pytest.raises(ValueError, match=re.escape("FAMO(learning_rate=0.025, gamma=0.001) needs a call with the lo")):
        method.update(LOSSES)
    method(None, LOSSES)
    with pytest.raises(ValueError, match=re.escape("losses need the shape [4] of the call before update, got [3]")):
        method.update(LOSSES[:3])


def test_famo_reaches_equal_rates_of_descent() -> None:
    """Two losses of which a step of plain descent lowers the second a hundred times faster."""
    rates = {}
    for learned in (False, True):
        method, x = FAMO(learning_rate=0.05), torch.tensor([3.0, 3.0], dtype=torch.float64)
        curvature = torch.tensor([0.01, 1.0], dtype=torch.float64)

        def losses(x: Tensor, curvature: Tensor = curvature) -> Tensor:
            return torch.stack((0.5 * curvature[0] * x[0] ** 2 + 1e-3, 0.5 * curvature[1] * x[1] ** 2 + 1e-3))

        start = losses(x).log()
        for _ in range(300):
            x = x - 0.02 * method(None, losses(x)) * curvature * x
            if learned:
                method.update(losses(x))
        fall = start - losses(x).log()
        rates[learned] = (fall[0] / fall[1]).item()
    assert abs(math.log(rates[True])) < abs(math.log(rates[False]))


def test_famo_needs_losses_that_are_tensors() -> None:
    method = FAMO()
    with pytest.raises(TypeError, match=r"update needs losses as tensors, got \[1.0, 2.0\]"):
        method.update([1.0, 2.0])  # type: ignore[list-item]
