"""MGDA-UB on forty attributes is the paper's: one forward, weights from the whole representation, one way back."""

import json
from pathlib import Path

import torch
from torch import Tensor

from mtrl import backward
from mtrl.aggregation import MGDA
from mtrl.benchmarks.vision import CelebA
from mtrl.benchmarks.vision.models import AttributeNetwork, SmallResNet18
from mtrl.supervised.benchmark import Batch
from tests.scripts.running import process, script
from tests.scripts.tables import unpadded

TASKS, BATCH = 40, 3


def gradients(model: AttributeNetwork, batch: Batch, chunk_size: int) -> tuple[Tensor, dict[str, Tensor], int]:
    """Weights, `.grad` by name, and how often the trunk was differentiated."""
    passes: list[object] = []
    handle = model.get_submodule("trunk.stages").register_full_backward_hook(lambda *_: passes.append(None))
    model.zero_grad()
    z = model.represent(batch.inputs)
    losses = CelebA().losses(model.predict(z), batch)
    weights = backward(losses, MGDA(), model.shared_parameters(), features=z, heads=model.heads, chunk_size=chunk_size)
    handle.remove()
    return weights, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, len(passes)


def test_it_is_the_papers_whatever_the_chunks() -> None:
    model = AttributeNetwork(SmallResNet18(2), TASKS, 2, 64).double()
    batch = Batch(torch.rand(BATCH, 3, 64, 64, dtype=torch.float64), torch.rand(BATCH, TASKS) < 0.5)
    z = model.represent(batch.inputs)
    losses = CelebA().losses(model.predict(z), batch)
    by_task = torch.stack([torch.autograd.grad(loss, z, retain_graph=True)[0] for loss in losses])
    whole = by_task.flatten(1)  # batch and features: a mean over the batch first would be another algorithm
    expected = MGDA()(whole @ whole.mT)
    direction = torch.einsum("t,tbf->bf", expected, by_task)
    shared = torch.autograd.grad(z, [*model.shared_parameters()], direction, retain_graph=True)
    heads = torch.autograd.grad(torch.stack([*losses]).sum(), [*model.heads.parameters()])
    for chunk_size in (1, 7, TASKS):
        weights, found, passes = gradients(model, batch, chunk_size)
        torch.testing.assert_close(weights, expected)
        torch.testing.assert_close([*found.values()], [*shared, *heads])
        assert passes == 1


def test_the_benchmark_runs(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = process("bench_mgda_ub", "--smoke", "--json", out)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {(row["tasks"], row["variant"]) for row in rows} >= {(2, "mean"), (3, "MGDA-UB"), (3, "MGDA")}
    assert all(row["times_mean"] == 1 for row in rows if row["variant"] == "mean")
    assert "| 3 |" in unpadded(done.stdout)
    wrong = script("bench_mgda_ub", "--batch", "0")
    assert wrong.returncode == 2
    assert "--batch needs to be at least 1, got 0" in wrong.stderr
