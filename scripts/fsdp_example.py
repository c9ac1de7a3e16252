"""Aggregation where modules are under `fully_shard`: Gram matrices of shards.

    torchrun --nproc-per-node 2 --module scripts.fsdp_example

FSDP averages over the ranks whatever `loss.backward()` finds, and leaves each rank its part. So each task has a
backward pass of its own, the parts' Gram matrices add up to that of the whole gradients, and each rank combines its
parts.

Axes: `T` tasks, `C` entries of this rank's shards.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from mtrl.aggregation import Method, NashMTL
from mtrl.distributed import RankAverage


def sharded_backward(losses: Sequence[Tensor], method: Method, sharded: Sequence[Any], heads: nn.Module) -> Tensor:
    """Puts the aggregated gradient into the `.grad` of sharded parameters, and their own into that of the heads.

    Args:
        losses: one per task, of this rank's part of the batch; every task reaches every module under `fully_shard`.
        method: of the Gram matrix.
        sharded: parameters under `fully_shard`, listed before the first forward pass, which may show whole copies.
        heads: whole on every rank, with cleared gradients.

    Returns:
        Weights of the tasks, `[T]`, the same on every rank.
    """
    parts = []
    for loss in losses:
        for p in sharded:
            p.grad = None
        loss.backward(retain_graph=loss is not losses[-1])
        found: list[Any] = [torch.zeros_like(p) if p.grad is None else p.grad for p in sharded]
        parts.append(torch.cat([gradient.to_local().flatten() for gradient in found]))
    gradients = torch.stack(parts)  # [T, C], means over the ranks
    gram, values = (gradients @ gradients.mT).double(), torch.stack([loss.detach() for loss in losses]).double()
    average = RankAverage()
    average([gram, values, *(p.grad for p in heads.parameters() if p.grad is not None)])
    weights = method(gram * average.size, values, torch.finfo(gradients.dtype).eps)
    combined = (weights.to(gradients) @ gradients).split([p.to_local().numel() for p in sharded])
    for p, part in zip(sharded, combined, strict=True):
        p.grad = torch.zeros_like(p)
        p.grad.to_local().copy_(part.view_as(p.to_local()))
    return weights


def main() -> None:
    """A few steps on drawn data."""
    dist.init_process_group("gloo")
    torch.manual_seed(0)  # the same first parameters on every rank
    trunk, heads = nn.Sequential(nn.Linear(8, 16), nn.Tanh()), nn.ModuleList(nn.Linear(16, 1) for _ in range(3))
    fully_shard(trunk, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    sharded = [*trunk.parameters()]
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], 1e-2)
    method, generator = NashMTL(), torch.Generator().manual_seed(dist.get_rank())
    for _ in range(5):
        x, targets = torch.randn(32, 8, generator=generator), torch.randn(3, 32, 1, generator=generator)
        z = trunk(x)
        losses = [((head(z) - y) ** 2).mean() for head, y in zip(heads, targets, strict=True)]
        optimizer.zero_grad()
        weights = sharded_backward(losses, method, sharded, heads)
        optimizer.step()
    if dist.get_rank() == 0:
        print("weights of the last step:", [round(w, 2) for w in weights.tolist()])
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
