"""Two ranks with shards of the trunk take the step of one process, by the program that the documentation shows."""

from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch.testing import assert_close

from mtrl import backward
from mtrl.aggregation import NashMTL
from tests.gradients.supervised import Model
from tests.ranks import run


def on_a_rank(number: int) -> dict[str, object]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from scripts.fsdp_example import sharded_backward

    model = Model()
    rows = slice(8 * number, 8 * number + 8)
    model.x, model.targets = model.x[rows], model.targets[:, rows]
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model.trunk[0], mesh=mesh)
    fully_shard(model.trunk, mesh=mesh)
    sharded: list[Any] = [*model.trunk.parameters()]
    weights = sharded_backward(model.losses(), NashMTL(), sharded, model.heads)
    whole = [p.grad.full_tensor() for p in sharded]
    return {"weights": weights, "trunk": whole, "heads": [p.grad for p in model.heads.parameters()]}


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_shards_take_the_step_of_one_process(tmp_path: Path) -> None:
    model = Model()
    weights = backward(model.losses(), NashMTL(), model.trunk)
    for results in run(on_a_rank, tmp_path):
        assert_close(results["weights"], weights)
        assert_close(results["trunk"], [p.grad for p in model.trunk.parameters()])
        assert_close(results["heads"], [p.grad for p in model.heads.parameters()])
