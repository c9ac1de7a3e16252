"""Nash-MTL in a PyTorch Lightning module: manual optimization, and `backward` in place of `manual_backward`.

    python -m scripts.lightning_example

Two tasks on the same inputs, whose losses differ a thousandfold in scale. Needs `pip install lightning`.
"""

from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mtrl import backward
from mtrl.aggregation import Method, NashMTL


class TwoTasks(lightning.LightningModule):
    """A shared trunk with two heads: regression of a sine, and of a product a thousand times as large."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.trunk = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(64, 1) for _ in range(2))
        self.method = method  # a module: its state goes into Lightning's checkpoints

    def losses(self, batch: list[Tensor]) -> Tensor:
        """Mean squared errors, `[2]`, of inputs `[N, 2]` and targets `[N, 2]`."""
        x, targets = batch
        z = self.trunk(x)
        outputs = torch.cat([head(z) for head in self.heads], 1)
        return ((outputs - targets) ** 2).mean(0)

    def training_step(self, batch: list[Tensor], batch_index: int) -> None:
        losses = self.losses(batch)
        optimizer: Any = self.optimizers()  # one, no list of them
        optimizer.zero_grad()
        backward(losses, self.method, shared=self.trunk.parameters())
        # The Nash direction has a fixed length; the paper clips it.
        nn.utils.clip_grad_norm_(self.trunk.parameters(), 1.0)
        optimizer.step()
        self.log_dict({"sine": losses[0], "product": losses[1]}, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 3e-3)


def data(size: int) -> DataLoader:
    """Batches of inputs and targets."""
    x = 2 * torch.rand(size, 2) - 1
    targets = torch.stack((torch.sin(3 * x[:, 0]), 30 * x[:, 0] * x[:, 1]), 1)
    return DataLoader(TensorDataset(x, targets), batch_size=64, shuffle=True)


def main() -> None:
    """Train for thirty epochs."""
    lightning.seed_everything(0)
    trainer = lightning.Trainer(max_epochs=30, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(TwoTasks(NashMTL()), data(2048))


if __name__ == "__main__":
    main()
