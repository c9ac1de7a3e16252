"""Nash-MTL with Hugging Face Accelerate: `backward` in place of `accelerator.backward`.

    accelerate launch --module scripts.accelerate_example

Two tasks on the same inputs, whose losses differ a thousandfold in scale; on one process or several, with accumulation
and in mixed precision. Needs `pip install accelerate`.
"""

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mtrl import backward
from mtrl.aggregation import Method, NashMTL
from mtrl.distributed import RankAverage


class TwoTasks(nn.Module):
    """A shared trunk with two heads: regression of a sine, and of a product a thousand times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(64, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        z = self.trunk(x)
        return torch.cat([head(z) for head in self.heads], 1)


def train(accelerator: Accelerator, model: TwoTasks, method: Method, optimizer: Any, loader: DataLoader) -> Tensor:
    """One pass over the data, of what has been prepared; the losses of its last part, `[2]`."""
    average = RankAverage() if accelerator.num_processes > 1 else None
    for x, targets in loader:
        with accelerator.accumulate(model):
            losses = ((model(x) - targets) ** 2).mean(0)
            backward(
                losses / accelerator.gradient_accumulation_steps,  # as accelerator.backward divides them
                method,
                shared=model.trunk,
                heads=model.heads,
                scale="mean",  # an update as long as the mean's: parts of a batch and clipping mean what they did
                scaler=accelerator.scaler,  # None but for fp16
                average=average,
            )
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.trunk.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()  # here, where a step has been taken: at the top it would drop what was added up
    return losses.detach()


def data(size: int) -> DataLoader:
    """Batches of inputs and targets."""
    x = 2 * torch.rand(size, 2) - 1
    targets = torch.stack((torch.sin(3 * x[:, 0]), 30 * x[:, 0] * x[:, 1]), 1)
    return DataLoader(TensorDataset(x, targets), batch_size=64, shuffle=True)


def main() -> None:
    """Train for thirty epochs."""
    set_seed(0)  # the same first parameters on every process
    accelerator = Accelerator(gradient_accumulation_steps=2)
    # Its device and precision, but not DistributedDataParallel, whose place `average` takes.
    model = accelerator.prepare_model(TwoTasks(), evaluation_mode=True)
    optimizer, loader = accelerator.prepare(torch.optim.Adam(model.parameters(), 3e-3), data(2048))
    method = NashMTL()
    accelerator.register_for_checkpointing(method)  # accelerator.save_state keeps its state
    for epoch in range(30):
        losses = train(accelerator, model, method, optimizer, loader)
        accelerator.print(f"epoch {epoch}: {losses.tolist()}")


if __name__ == "__main__":
    main()
