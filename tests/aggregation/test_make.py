"""Methods by name, and the one line that a mistake gets."""

import re
import sys
from typing import Any

import numpy as np
import pytest
import torch

from mtrl import aggregation
from mtrl.aggregation import FAMO, MGDA, CAGrad, GradDrop, NashMTL, TrimmedMean, UPGrad

KNOWN = ", ".join(sorted(aggregation.METHODS))


def test_make_passes_hyperparameters() -> None:
    method = aggregation.make("cagrad", c=0.25)
    assert isinstance(method, CAGrad)
    assert method.c == 0.25


@pytest.mark.parametrize("name", aggregation.METHODS)
@pytest.mark.parametrize("value", ["0.5", None, ["x"], {"a": 1.0}, [[1.0]], 1j])
def test_what_is_no_number_is_refused_by_name(name: str, value: object) -> None:
    kind = aggregation.METHODS[name]
    for argument, parameter in aggregation.hyperparameters(name).items():
        if value is None and parameter.default is None:
            continue
        with pytest.raises(
            (TypeError, ValueError), match=rf"^{kind.__name__} needs .*\b{argument}={re.escape(repr(value))}$"
        ):
            kind(**{argument: value})


def test_one_number_is_not_several() -> None:
    one: Any = 3
    with pytest.raises(TypeError, match=r"^UPGrad needs numbers for preference, got preference=3$"):
        UPGrad(one)
    with pytest.raises(TypeError, match=r"^CAGrad needs a number for c, got c=\[0.4\]$"):
        CAGrad([0.4])  # type: ignore[arg-type]
    assert GradDrop(0.5).leak == 0.5
    assert GradDrop([0.5]).leak == (0.5,)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    one: Any
    for one in (np.float32(0.25), torch.tensor(0.25)):
        assert CAGrad(one).c == CAGrad(c=one).c == 0.25
    assert aggregation.make("cagrad", c=np.float32(0.25)).c == 0.25
    assert aggregation.make("grad_drop", seed=np.int64(3)).seed == 3
    for one in (np.array([1.0, 3.0]), torch.tensor([1.0, 3.0])):
        assert str(UPGrad(one)) == str(UPGrad([1.0, 3.0]))


def test_hyperparameters_are_the_constructors() -> None:
    known = aggregation.hyperparameters("mgda")
    assert list(known) == ["normalization", "solver"]
    assert known["normalization"].default == "none"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nash", {}, f"unknown method 'nash': did you mean 'nash_mtl'? known: {KNOWN}"),
        ("NashMTL", {}, f"unknown method 'NashMTL': did you mean 'nash_mtl'? known: {KNOWN}"),
        ("MGDA", {}, f"unknown method 'MGDA': did you mean 'mgda'? known: {KNOWN}"),
        ("zzz", {}, f"unknown method 'zzz'; known: {KNOWN}"),
        ("cagrad", {"cc": 1}, "cagrad has no hyper-parameter 'cc': did you mean 'c'? known: c, rescale"),
        ("cagrad", {"c": 1.5}, "CAGrad needs 0 <= c < 1, got c=1.5"),
        ("cagrad", {"c": float("nan")}, "CAGrad needs 0 <= c < 1, got c=nan"),
        ("cagrad", {"c": "0.4"}, "cagrad needs c of float, got '0.4'"),
        ("cagrad", {"rescale": "c"}, "CAGrad needs a rescale of ['none', '1+c', '1+c^2'], got rescale='c'"),
        ("mgda", {"solver": "wolfe"}, "MGDA needs a solver of ['exact', 'frank_wolfe'], got solver='wolfe'"),
        ("mgda", {"normalization": 2}, "MGDA needs a normalization of ['none', 'l2', 'loss', 'loss+'], got norm"),
        ("nash_mtl", {"solver": "x"}, "NashMTL needs solver 'newton' or 'ccp', got solver='x'"),
        ("mean", {"weights": [1, "a"]}, "mean needs weights of "),
        ("mean", {"weights": [1, float("inf")]}, "LinearScalarization needs finite weights, got weights=[1.0, inf]"),
        ("pcgrad", {"seed": True}, "pcgrad needs seed of int, got True"),
        ("pcgrad", {"seed": -1}, "PCGrad needs 0 <= seed < 2^63, got seed=-1"),
        ("random_loss_weighting", {"seed": -1}, "RandomLossWeighting needs 0 <= seed < 2^63, got seed=-1"),
        ("dynamic_weight_average", {"temperature": 0}, "DynamicWeightAverage needs a finite temperature > 0, got temp"),
        ("dynamic_weight_average", {"window": 0}, "DynamicWeightAverage needs window >= 1, got window=0"),
        (
            "uncertainty_weighting",
            {"learning_rate": 0},
            "UncertaintyWeighting needs a finite learning_rate > 0, got le",
        ),
        ("imtl_l", {"learning_rate": -1.0}, "IMTLL needs a finite learning_rate > 0, got learning_rate=-1.0"),
        ("imtl", {"learning_rate": float("inf")}, "IMTL needs a finite learning_rate > 0, got learning_rate=inf"),
        (
            "grad_norm",
            {"learning_rate": float("nan")},
            "GradNorm needs a finite learning_rate > 0, got learning_rate=nan",
        ),
        ("grad_norm", {"alpha": float("inf")}, "GradNorm needs a finite alpha, got alpha=inf"),
        ("famo", {"learning_rate": 0.0}, "FAMO needs a finite learning_rate > 0, got learning_rate=0.0"),
        ("famo", {"gamma": -0.1}, "FAMO needs a finite gamma >= 0, got gamma=-0.1"),
        ("stch", {"mu": 0.0}, "STCH needs a finite mu > 0, got mu=0.0"),
        ("stch", {"preference": [1, 0]}, "STCH needs finite preferences > 0, got preference=[1, 0]"),
        ("stch", {"ideal": [float("nan")]}, "STCH needs a finite ideal point, got ideal=[nan]"),
        ("excess_mtl", {"step_size": 0.0}, "ExcessMTL needs a finite step_size > 0, got step_size=0.0"),
        ("db_mtl", {"beta": 1.0}, "DBMTL needs 0 <= beta < 1, got beta=1.0"),
        ("db_mtl", {"sigma": -1.0}, "DBMTL needs a finite sigma >= 0, got sigma=-1.0"),
    ],
)
def test_mistakes(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        aggregation.make(name, **arguments)
    assert "\n" not in str(error.value)


def test_solve_names_the_task_that_is_not_finite() -> None:
    G = torch.eye(4)
    G[2] = G[:, 2] = torch.nan
    with pytest.raises(ValueError, match="the gradient of task 2 is not finite: nan"):
        NashMTL().solve(G)
    with pytest.raises(ValueError, match=r"the gradient of task 2 of matrix \[1\] is not finite"):
        NashMTL().solve(torch.stack((torch.eye(4), G)))
    with pytest.raises(ValueError, match="the loss of task 1 is not finite: inf"):
        MGDA().solve(torch.eye(2), torch.tensor([0.0, torch.inf]))


@pytest.mark.parametrize(
    ("gram", "losses", "message"),
    [
        (torch.ones(2, 3), None, "gram needs the shape [..., T, T] with T >= 1, got [2, 3]"),
        (torch.ones(3), None, "gram needs the shape [..., T, T] with T >= 1, got [3]"),
        (torch.ones(2, 2, dtype=torch.int64), None, "gram needs a floating-point dtype, got torch.int64"),
        (torch.eye(2), torch.ones(3), "losses need the shape [2] of the tasks, got [3]"),
    ],
)
def test_wrong_shapes(gram: torch.Tensor, losses: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MGDA()(gram, losses)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (torch.tensor(1.0), "losses need the shape [..., T] with T >= 1, got []"),
        (torch.ones(0), "losses need the shape [..., T] with T >= 1, got [0]"),
        (torch.tensor([1, 2]), "losses need a floating-point dtype, got torch.int64"),
    ],
)
def test_wrong_losses_without_a_gram_matrix(losses: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FAMO()(None, losses)


@pytest.mark.parametrize("given", [np.eye(2), [[1.0, 0.0], [0.0, 1.0]]])
def test_what_is_no_tensor_is_refused_by_name(given: Any) -> None:
    got = type(given).__name__
    for call in (NashMTL(), NashMTL().solve, FAMO()):
        with pytest.raises(TypeError, match=f"^gram must be a tensor, got {got}$"):
            call(given, torch.ones(2))
    for call in (FAMO(), FAMO().solve):
        for gram in (None, torch.eye(2)):
            with pytest.raises(TypeError, match=f"^losses must be a tensor, got {got}$"):
                call(gram, given)
    with pytest.raises(TypeError, match=f"^gradients must be a tensor, got {got}$"):
        TrimmedMean()(given)


@pytest.mark.parametrize("name", [NashMTL, NashMTL(), None])
def test_what_is_no_name(name: Any) -> None:
    for call in (aggregation.make, aggregation.find, aggregation.hyperparameters):
        with pytest.raises(TypeError, match=r"^a method's name needs to be a text such as 'nash_mtl', got"):
            call(name)


def test_losses_are_asked_for() -> None:
    with pytest.raises(ValueError, match=re.escape("MGDA(normalization='loss', solver='exact') needs losses")):
        MGDA(normalization="loss")(torch.eye(2))


def test_weights_carry_no_gradient() -> None:
    assert not NashMTL()(torch.eye(2, requires_grad=True)).requires_grad


def test_only_counters_are_state_before_the_first_call() -> None:
    counting = {"db_mtl", "grad_drop", "grad_vac", "moco", "pcgrad", "random_loss_weighting"}
    assert {name for name in aggregation.METHODS if aggregation.make(name).state_dict()} == counting


def test_a_missing_cvxpy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(ValueError, match=re.escape("needs cvxpy: pip install 'mtrl-torch[reference]'")):
        NashMTL(solver="ccp")(torch.eye(2))


def test_a_state_without_a_position_in_the_random_stream_is_refused():
    with pytest.raises(RuntimeError, match="Missing key"):
        aggregation.make("pcgrad").load_state_dict({})
