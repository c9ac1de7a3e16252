"""The same numbers on the device as on the CPU, and nothing read back from it during an update.

The device is that of the environment variable MTRL_TEST_DEVICE: `cuda` in `scripts/gpu_check.sh`, else the CPU itself,
on which the comparisons hold trivially and show that they can be made.
"""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from mtrl import aggregation, backward
from mtrl.agents import Learner
from mtrl.agents.losses import Batch
from tests.agents.conftest import ACTION, OBSERVATION, make_batch, make_config

DEVICE = torch.device(os.environ.get("MTRL_TEST_DEVICE", "cpu"))
IS_CUDA = DEVICE.type == "cuda"
NUM_TASKS = 4
METHODS = sorted(aggregation.METHODS)
OF_EACH_KIND = ["mean", "nash_mtl", "mgda", "pcgrad", "cagrad", "famo", "grad_drop"]


@contextmanager
def nothing_read_back() -> Iterator[None]:
    """Within, a host that waits for the GPU is an error."""
    if IS_CUDA:
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if IS_CUDA:
            torch.cuda.set_sync_debug_mode("default")


class Supervised:
    """A trunk with a head a task, in float64, and three steps of training by `backward`."""

    def __init__(self, method: str, device: torch.device, check: bool = True) -> None:
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh()).double().to(device)
        self.heads = nn.ModuleList(nn.Linear(16, 1) for _ in range(NUM_TASKS)).double().to(device)
        self.method = aggregation.make(method).to(device)
        self.device, self.check = device, check
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(32, 8, dtype=torch.float64, generator=generator).to(device)
        self.y = torch.randn(NUM_TASKS, 32, 1, dtype=torch.float64, generator=generator).to(device)

    def step(self) -> Tensor:
        features = self.trunk(self.x)
        losses = [(head(features) - y).square().mean() for head, y in zip(self.heads, self.y, strict=True)]
        parameters = [*self.trunk.parameters(), *self.heads.parameters()]
        for parameter in parameters:
            parameter.grad = None
        backward(losses, self.method, shared=self.trunk, check=self.check)
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.sub_(0.01 * parameter.grad)
        return torch.cat([parameter.detach().flatten() for parameter in parameters])


def learner(device: torch.device, monkeypatch: pytest.MonkeyPatch, **changes: dict[str, object]) -> Learner:
    """An agent whose noise is the CPU's, wherever it learns."""
    made = Learner(make_config(**changes), 3, OBSERVATION, ACTION, device, (0,))
    generator = torch.Generator().manual_seed(5)
    made.generators = [generator]
    monkeypatch.setattr(made, "noise", lambda shape: torch.randn(1, *shape, generator=generator).to(device))
    return made


def on(device: torch.device, batch: Batch) -> Batch:
    return Batch(*(x.to(device) for x in batch))


def parameters_of(trained: Learner) -> list[Tensor]:
    return [x.cpu() for x in trained.tensors().values()]


@pytest.mark.parametrize("method", METHODS)
def test_a_supervised_step_is_that_of_the_cpu(method: str) -> None:
    expected, found = Supervised(method, torch.device("cpu")), Supervised(method, DEVICE)
    for step in range(3):
        at = f"step {step}"
        torch.testing.assert_close({at: found.step().cpu()}, {at: expected.step()}, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_an_unchecked_supervised_step_reads_nothing_back(method: str) -> None:
    trained = Supervised(method, DEVICE, check=False)
    trained.step()
    with nothing_read_back():
        after = trained.step()
    assert bool(after.isfinite().all())


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("method", ["mean", "nash_mtl", "pcgrad"])
def test_an_update_of_the_agent_is_that_of_the_cpu(method: str, compile: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if compile and not IS_CUDA:
        pytest.skip("the tests of the update compile it on the CPU")
    training = {"precision": "float32", "compile": compile, "cuda_graphs": compile}
    found = learner(DEVICE, monkeypatch, method={"name": method}, training=training)
    expected = learner(torch.device("cpu"), monkeypatch, method={"name": method})
    for seed in range(3):
        batch = make_batch(seed=seed)
        found.update(on(DEVICE, batch))
        expected.update(batch)
    for one, other in zip(parameters_of(found), parameters_of(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("method", ["mean", "nash_mtl", "pcgrad", "cagrad", "mgda"])
def test_an_update_of_the_agent_reads_nothing_back(method: str, compile: bool) -> None:
    if compile and not IS_CUDA:
        pytest.skip("only a GPU is waited for")
    training = {"precision": "float32", "compile": compile, "cuda_graphs": compile}
    trained = Learner(make_config(method={"name": method}, training=training), 3, OBSERVATION, ACTION, DEVICE, (0, 1))
    batch = on(DEVICE, Batch(*(torch.cat([x, x]) for x in make_batch())))
    for _ in range(3):
        trained.update(batch)
    with nothing_read_back():
        for _ in range(3):
            trained.update(batch)


def test_a_state_moves_between_devices() -> None:
    source = Supervised("nash_mtl", DEVICE)
    source.step()
    target = Supervised("nash_mtl", torch.device("cpu"))
    target.method.load_state_dict(copy.deepcopy(source.method.state_dict()))
    target.trunk.load_state_dict(source.trunk.state_dict())
    target.heads.load_state_dict(source.heads.state_dict())
    torch.testing.assert_close(target.step(), source.step().cpu(), rtol=1e-6, atol=1e-9)
