"""How long the update of the shared parameters is made."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import FAMO, MGDA, GradNorm, LinearScalarization, MoCo, NashMTL, TrimmedMean
from tests.gradients.supervised import Model

METHODS = [NashMTL, MGDA, MoCo, FAMO, GradNorm, LinearScalarization, TrimmedMean]
"""By the Gram matrix, by gradients, by losses, weighing heads, coordinate by coordinate."""


def length(model):
    return model.gradients()[0].norm()


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_lengths(method, features):
    if features and (method is TrimmedMean or method.remembers_gradients):
        return  # of the coordinates of the features; refused
    model, plain = Model(), Model()
    J = model.jacobian()
    natural = backward(plain.losses(), method(), plain.trunk)
    wanted: dict[Any, Tensor] = {
        "mean": J.mean(0).norm(),
        "unit": torch.ones(()).double(),
        0.25: torch.tensor(0.25).double(),
    }
    for scale, expected in wanted.items():
        model.zero_grad()
        z = model.features()
        weights = backward(model.losses(z), method(), model.trunk, scale=scale, features=z if features else None)
        assert_close(length(model), expected)
        if not weights.isnan().any():
            assert_close(weights @ J, model.gradients()[0])
        if not features:
            assert_close(model.gradients()[0] / length(model), plain.gradients()[0] / length(plain))
            assert_close(model.gradients()[1], plain.gradients()[1])  # heads are as they were
    assert natural.shape == (3,)


@pytest.mark.parametrize("method", METHODS)
def test_the_greatest_length(method):
    model, plain = Model(), Model()
    backward(plain.losses(), method(), plain.trunk)
    for factor in (0.5, 2.0):
        model.zero_grad()
        weights = backward(model.losses(), method(), model.trunk, max_norm=factor * length(plain).item())
        assert_close(length(model), min(factor, 1.0) * length(plain))
        if not weights.isnan().any():
            assert_close(weights @ model.jacobian(), model.gradients()[0])


def test_reused_weights_keep_the_length_that_they_were_found_with():
    model, method = Model(), NashMTL()
    first = backward(model.losses(), method, model.trunk, update_every=3, scale="mean", max_norm=1e-3)
    assert_close(length(model), torch.tensor(1e-3).double())
    model.zero_grad()
    again = backward(model.losses(), method, model.trunk, update_every=3, scale="mean")
    assert_close(length(model), model.jacobian().mean(0).norm())
    assert_close(again / again.sum(), first / first.sum())


def test_an_update_of_zero_stays_zero():
    model = Model()
    losses = [loss * 0 for loss in model.losses()]
    backward(losses, MGDA(), model.trunk, scale="unit", max_norm=1.0)
    assert not model.gradients()[0].any()


def test_with_a_scaler():
    model, plain = Model(dtype=torch.float32), Model(dtype=torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    backward(model.losses(), NashMTL(), model.trunk, scaler=scaler, scale="mean", max_norm=0.1)
    backward(plain.losses(), NashMTL(), plain.trunk, scale="mean", max_norm=0.1)
    assert_close(model.gradients()[0] / 1024, plain.gradients()[0])


def test_mistakes():
    model = Model()
    for options, message in (
        ({"scale": "median"}, "scale needs to be 'mean', 'unit', a length > 0 or None, got scale='median'"),
        ({"scale": 0}, "got scale=0"),
        ({"scale": [1]}, "got scale=[1]"),
        ({"scale": b"mean"}, "got scale=b'mean'"),
        ({"scale": torch.ones(2)}, "got scale=tensor([1., 1.])"),
        ({"max_norm": 0.0}, "max_norm needs to be > 0, got max_norm=0.0"),
        ({"max_norm": "1"}, "max_norm needs to be > 0, got max_norm='1'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            backward(model.losses(), MGDA(), model.trunk, **options)
