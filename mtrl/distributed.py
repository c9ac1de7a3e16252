"""Per-task gradients over several processes, each with a part of every task's batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


class RankAverage:
    """Means over the ranks of a process group, for `backward(..., average=RankAverage())`.

    Call `backward` on all ranks with the same parameters and the same method state: the averaged gradients, the weights
    and hence the updates are then the same on every rank, and those of the whole batch. Modules need not be wrapped.
    (`DistributedDataParallel` averages what reaches `.grad`, which comes too late: aggregation is not linear. With
    `backward` it finds nothing to average, but broadcasts the first parameters and the buffers.)

    Of a method that reads the Gram matrix alone, no rank has a whole averaged gradient of a task: with `R` ranks, `T`
    tasks and `P` shared parameters, each sends at most `(R - 1) / R` times `(T + 1) P` numbers and keeps `T P / R`; of
    one that reads the gradients themselves, `2 (R - 1) / R` times `T P`. Of a layer whose `N` rows a rank, times its
    `O` outputs, are fewer numbers than its weight has, no task's gradient is formed: the ranks exchange the rows,
    `(R - 1) / R` times `T N O`, and their inputs. Results differ from those of one process by the rounding of sums in
    another order.

    Parameters are known by their places in `shared` and `heads`; one that a rank's losses do not reach, or a task
    that is absent there, counts as zero on that rank. Heads that are not given need to be the same on every rank.

    Args:
        group: None for the default one.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return dist.get_world_size(self.group)

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor in place by its mean over the ranks, in one message per dtype and device.

        Args:
            tensors: of the same shapes, in the same order, on every rank.
        """
        kinds = {(x.dtype, x.device): None for x in tensors}
        for kind in kinds:
            same = [x for x in tensors if (x.dtype, x.device) == kind]
            message = torch.cat([x.flatten() for x in same]).div_(self.size)
            dist.all_reduce(message, group=self.group)
            for x, mean in zip(same, message.split([x.numel() for x in same]), strict=True):
                x.copy_(mean.view_as(x))

    def scatter(self, rows: Tensor) -> Tensor:
        """This rank's part of the columns of `rows`, each their mean over the ranks, in one message.

        Args:
            rows: `[T, R C]`, for `R` ranks, of the same shape and dtype on each.

        Returns:
            `[T, C]`
        """
        by_rank = rows.unflatten(1, (self.size, -1)).transpose(0, 1).contiguous().div_(self.size)  # [R, T, C]
        part = torch.empty_like(by_rank[0])
        dist.reduce_scatter_tensor(part.view(-1), by_rank.view(-1), group=self.group)
        return part

    def gather(self, part: Tensor) -> Tensor:
        """The ranks' parts `[C]` one after the other, `[R C]`, the same on every rank."""
        whole = part.new_empty(self.size * len(part))
        dist.all_gather_into_tensor(whole, part.contiguous(), group=self.group)
        return whole

    def exchange(self, messages: Sequence[Tensor], lengths: Sequence[int]) -> list[Tensor]:
        """What each rank has for this one, in one message.

        Args:
            messages: `[R]` vectors, what each rank is given; of one dtype, the same on every rank.
            lengths: `[R]`, how much comes from each.
        """
        received = messages[0].new_empty(sum(lengths))
        sent = [len(message) for message in messages]
        dist.all_to_all_single(received, torch.cat([*messages]), [*lengths], sent, group=self.group)
        return [*received.split([*lengths])]

    def agree(self, said: str) -> None:
        """Whether all ranks say the same.

        Raises:
            ValueError: on every rank, if they do not.
        """
        everyone: list[str] = [""] * self.size
        dist.all_gather_object(everyone, said, group=self.group)
        if len(set(everyone)) > 1:
            by_rank = "; ".join(f"rank {rank}: {one}" for rank, one in enumerate(everyone))
            raise ValueError(f"the ranks need to do the same in backward, got {by_rank}")

    def everyone(self, numbers: Sequence[int], device: torch.device) -> list[list[int]]:
        """The numbers of each rank.

        Args:
            numbers: as many on every rank.
            device: of the message.
        """
        mine = torch.tensor(numbers, dtype=torch.int64, device=device)
        return self.gather(mine).view(self.size, -1).tolist()
