"""The state of a method in a model that is moved, cast and saved."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from mtrl import backward
from mtrl.aggregation import METHODS, Method, UncertaintyWeighting, make
from tests.aggregation.gradients import conflicting, gram
from tests.existing import existing

G = gram(conflicting(4))
LOSSES = torch.tensor([0.3, 2.0, 0.01, 7.0], dtype=torch.float64)
OF_A_MATRIX = [name for name in METHODS if isinstance(make(name), Method)]


def called(name: str, calls: int = 3) -> Any:
    method = make(name)
    for _ in range(calls):
        method(G, LOSSES)
        method.update(0.9 * LOSSES)
    return method


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_state_that_was_loaded_elsewhere_follows_what_it_meets(name: str) -> None:
    """A checkpoint is read on the CPU; the losses may be on a GPU, for which `meta` stands here."""
    resumed = make(name)
    resumed.load_state_dict(called(name).state_dict())
    assert resumed(G.to("meta"), LOSSES.to("meta")).is_meta
    resumed = make(name)
    resumed.load_state_dict(called(name).state_dict())
    resumed.update(LOSSES.to("meta"))


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_a_model_that_is_made_without_memory_takes_its_state(name: str) -> None:
    """As models are loaded that would not fit twice."""
    with torch.device("meta"):
        resumed = make(name)
    resumed.load_state_dict(copy.deepcopy(called(name).state_dict()), assign=True)
    assert torch.equal(resumed(G, LOSSES), called(name)(G, LOSSES))
    assert not any(value.is_meta for value in resumed.buffers())


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_weights_are_for_the_gradients_of_the_call_or_it_is_said(name: str) -> None:
    """Only the former may be used again, with the gradients of the next calls."""
    method = make(name)
    for call in range(3):
        gradients = conflicting(4, seed=call)
        shared = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
        weights = backward(gradients @ shared + LOSSES, method, [shared])
        method.update(0.9 * LOSSES)
    assert torch.allclose(existing(shared.grad), weights @ gradients) != method.weighs_remembered


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_casting_a_model_leaves_the_state_of_its_method(name: str) -> None:
    model = nn.ModuleDict({"trunk": nn.Linear(2, 2), "method": called(name)})
    before = copy.deepcopy(model["method"].state_dict())
    model.to(torch.bfloat16)
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())
    for key, value in model["method"].state_dict().items():
        assert value.dtype == before[key].dtype
        assert torch.equal(value, before[key])
    assert all(value.is_meta for value in model.to("meta")["method"].buffers())


def test_learned_weights_go_on_after_a_cast() -> None:
    method, plain = UncertaintyWeighting(), UncertaintyWeighting()
    for call in range(300):
        if call == 1:
            method.half()
        weights, expected = method(None, LOSSES), plain(None, LOSSES)
    assert torch.equal(weights, expected)


@pytest.mark.parametrize("name", ["db_mtl", "excess_mtl", "moco"])
def test_gradients_that_are_remembered_may_be_of_another_dtype(name: str) -> None:
    torch.manual_seed(0)
    method, trunk, heads, x = make(name), nn.Linear(4, 3), nn.Linear(3, 2), torch.randn(8, 4)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        for module in (method, trunk, heads):
            module.to(dtype).zero_grad()
        losses = (heads(trunk(x.to(dtype))) ** 2).mean(0)
        weights = backward(losses, method, trunk)
        assert weights.isfinite().all()
        assert existing(trunk.weight.grad).isfinite().all()
