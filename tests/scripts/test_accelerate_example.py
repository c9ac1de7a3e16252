"""The Accelerate example takes the step of a plainly written Jacobian, on one process and on two."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from mtrl.aggregation import MGDA, PCGrad
from tests.oracles.plain_step import plain_step
from tests.ranks import run

accelerate = pytest.importorskip("accelerate")
from accelerate.state import AcceleratorState, GradientState  # noqa: E402

from scripts.accelerate_example import TwoTasks, data, train  # noqa: E402

ROWS = 32
LONGEST = 1
"""Length that the example clips to."""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Accelerate keeps one state for the process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def rows() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return data(ROWS).dataset[:]


def model_of(dtype: torch.dtype) -> TwoTasks:
    torch.manual_seed(0)
    return TwoTasks().to(dtype)


def step(
    batch: int, parts: int, precision: str = "no", dtype: torch.dtype = torch.float64, scaler=None
) -> list[Tensor]:
    """What one step of SGD at rate 1 takes off the parameters, in parts of so many rows."""
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=parts, mixed_precision=precision)
    model = accelerator.prepare_model(model_of(dtype), evaluation_mode=True)
    accelerator.scaler, accelerator.native_amp = scaler, scaler is not None or accelerator.native_amp
    loader = DataLoader(TensorDataset(*(t.to(dtype) for t in rows())), batch_size=batch)
    optimizer, loader = accelerator.prepare(torch.optim.SGD(model.parameters(), 1.0), loader)
    before = [p.detach().clone() for p in model.parameters()]
    train(accelerator, model, MGDA(), optimizer, loader)
    return [a - b.detach() for a, b in zip(before, model.parameters(), strict=True)]


def expected(parts: int, dtype: torch.dtype = torch.float64, autocast: bool = False) -> list[Tensor]:
    model, batch = model_of(dtype), [t.to(dtype) for t in rows()]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outputs = [(model(x).to(dtype), y) for x, y in zip(*(t.chunk(parts) for t in batch), strict=True)]
    losses = [((z - y) ** 2).mean(0) / parts for z, y in outputs]
    trunk, heads = plain_step(losses, MGDA(), [*model.trunk.parameters()], [*model.heads.parameters()])
    norm = torch.cat([g.flatten() for g in trunk]).norm()
    assert norm > LONGEST, "there is something to clip"
    return [*(g * LONGEST / norm for g in trunk), *heads]


@pytest.mark.parametrize("parts", [1, 2])
def test_it_takes_the_step_of_a_jacobian(parts: int) -> None:
    assert_close(step(ROWS // parts, parts), expected(parts), rtol=1e-5, atol=1e-8)


def test_in_bfloat16() -> None:
    for ours, theirs in zip(
        step(ROWS, 1, "bf16", torch.float32), expected(1, torch.float32, autocast=True), strict=True
    ):
        assert (ours - theirs).norm() <= 2e-2 * theirs.norm()


def test_with_a_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in float16, for which Accelerate wants a GPU: the scaler is made here, and unscales before clipping."""
    monkeypatch.setattr(accelerate.Accelerator, "mixed_precision", "fp16")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert_close(step(ROWS // 2, 2, scaler=scaler), expected(2), rtol=1e-5, atol=1e-8)


def of_rank(number: int) -> dict[str, object]:
    """On two ranks: each part of the batch is half as large, and a rank gets every second."""
    return {str(parts): step(ROWS // parts // 2, parts) for parts in (1, 2)}


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_two_ranks_take_the_step_of_one(tmp_path: Path) -> None:
    for results in run(of_rank, tmp_path):
        for parts in (1, 2):
            assert_close(results[str(parts)], expected(parts), rtol=1e-5, atol=1e-8)


def test_it_trains_and_checkpoints_the_method(tmp_path: Path) -> None:
    torch.manual_seed(0)
    accelerator = accelerate.Accelerator(cpu=True)
    model, method = TwoTasks(), PCGrad()  # one with a state
    optimizer, loader = accelerator.prepare(torch.optim.Adam(model.parameters(), 3e-3), data(1024))
    accelerator.register_for_checkpointing(method)
    x, targets = loader.dataset[:]
    before = ((model(x) - targets) ** 2).mean(0)
    for _ in range(8):
        train(accelerator, model, method, optimizer, loader)
    after = ((model(x) - targets) ** 2).mean(0)
    assert (after < before / 3).all(), f"{before.tolist()} -> {after.tolist()}"
    accelerator.save_state(tmp_path)
    method.step.zero_()
    accelerator.load_state(tmp_path)
    assert method.step == 8 * 16
