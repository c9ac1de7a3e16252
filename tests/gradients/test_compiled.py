"""Modules under `torch.compile`, whatever ran first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import MGDA, LinearScalarization
from tests.gradients.supervised import Model

PROGRAM = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
heads = nn.ModuleList(nn.Linear(16, 1) for _ in range(3))
x = torch.randn(16, 16)


def trunk(x):
    for layer in layers:
        x = layer(x).sin()  # whose backward pass may be written over what it saved
    return x


def losses(f):
    z = f(x)
    return [head(z).pow(2).mean() for head in heads]


compiled = torch.compile(trunk)
if sys.argv[1] == "plain":
    sum(losses(compiled)).backward()
else:
    from mtrl import backward
    from mtrl.aggregation import MGDA

    eager = backward(losses(trunk), MGDA(), layers)
    torch.testing.assert_close(backward(losses(compiled), MGDA(), layers), eager)
"""


@pytest.mark.parametrize("first", ["mean", "plain"])
def test_after_a_pass_that_frees_the_graph(first):
    model = Model()
    compiled = torch.compile(model.trunk, backend="aot_eager")
    if first == "mean":
        backward(model.losses(compiled(model.x)), LinearScalarization(), model.trunk)
    else:
        torch.stack(model.losses(compiled(model.x))).sum().backward()
    model.zero_grad()
    J = model.jacobian()
    weights = backward(model.losses(compiled(model.x)), MGDA(), model.trunk)
    assert_close(model.gradients()[0], weights @ J)


def test_compiled_elsewhere_is_an_error():
    """As by a program that ran the module before it imported mtrl."""
    model = Model()
    with torch._functorch.config.patch(donated_buffer=True):
        z = torch.compile(torch.nn.Sequential(*model.trunk, torch.nn.SiLU()), backend="aot_eager")(model.x)
    assert not torch._functorch.config.donated_buffer
    with pytest.raises(ValueError, match=r"compiled before mtrl\.gradients was imported"):
        backward(model.losses(z), MGDA(), model.trunk)
    assert model.trunk[0].weight.grad is None


@pytest.mark.slow
def test_the_cache_on_disk_of_a_program_without_mtrl(tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.getcwd()}
    for who in ("plain", "mtrl", "mtrl"):
        subprocess.run([sys.executable, str(tmp_path / "program.py"), who], env=environment, check=True)


@pytest.mark.slow
def test_the_cache_on_disk_is_of_a_processors_instructions(tmp_path: Path):
    """Found where torch has others, what was compiled may end the process."""
    shown = "\nprint(torch._dynamo.utils.counters['inductor']['fxgraph_cache_hit'])"
    (tmp_path / "program.py").write_text(PROGRAM + shown)
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.getcwd()}
    hits = []
    for more in ({}, {"ATEN_CPU_CAPABILITY": "default"}, {}):
        command = [sys.executable, str(tmp_path / "program.py"), "mtrl"]
        done = subprocess.run(command, env=environment | more, check=True, capture_output=True, text=True)
        hits.append(int(done.stdout) > 0)
    assert hits == [False, False, True]
