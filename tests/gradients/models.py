"""Models of many kinds, each with losses of several tasks on the same rows."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

T, ROWS = 3, 6


class Net(nn.Module):
    """A trunk that gives `[ROWS, 6]`, and a head per task.

    Args:
        trunk: what is shared.
        inputs: of the trunk.
        run: applies the trunk; by default plainly.
    """

    def __init__(
        self, trunk: nn.Module, inputs: Tensor, run: Callable[[nn.Module, Tensor], Tensor] = lambda trunk, x: trunk(x)
    ) -> None:
        super().__init__()
        self.trunk, self.inputs, self.run = trunk, inputs, run
        self.heads = nn.ModuleList(nn.Linear(6, 1) for _ in range(T))
        self.targets = torch.randn(T, ROWS, 1)

    def losses(self) -> list[Tensor]:
        z = self.run(self.trunk, self.inputs)
        return [((head(z) - y.to(z)) ** 2).mean() for head, y in zip(self.heads, self.targets, strict=True)]

    @property
    def shared(self) -> list[Tensor]:
        return [p for p in self.trunk.parameters() if p.requires_grad]


def channels_last(module: nn.Module) -> None:
    """The kernels' layout; as `to(memory_format=...)`, which torch's types do not know."""
    for p in module.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)


class Conv(nn.Module):
    """With BatchNorm, a grouped layer and channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2, bias=False)
        )
        channels_last(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean((2, 3))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x)[0][:, -1]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(1)


class Tied(nn.Module):
    """One table for words in and words out, used directly as well."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(7, 6), nn.Linear(6, 6)

    def forward(self, words: Tensor) -> Tensor:
        z = self.mix(self.table(words)).tanh()
        return (z @ self.table.weight.T).softmax(-1) @ self.table.weight + self.table.weight.mean()


class Experts(nn.Module):
    """Each row by one expert, times its gate; the last expert has no rows."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(4, 3), nn.ModuleList(nn.Linear(4, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(x).softmax(-1)
        return torch.stack([g[i] * self.experts[i](row) for row, g, i in zip(x, gates, gates.argmax(-1), strict=True)])


class LowRank(nn.Module):
    """A frozen weight and a trained difference of rank two."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(4, 6).requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.randn(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + x @ self.down @ self.up


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x, n=6) @ self.weight, n=6)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6))


def parametrized() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 8)), nn.Tanh(), parametrizations.orthogonal(nn.Linear(8, 6))
    )


def checkpointed(trunk: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(trunk, x, use_reentrant=False)


def _rows(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape)


MODELS: dict[str, Callable[[], Net]] = {
    "mlp": lambda: Net(mlp(), _rows(4)),
    "conv": lambda: Net(Conv(), _rows(2, 5, 5)),
    "lstm": lambda: Net(Recurrent(), _rows(3, 4)),
    "attention": lambda: Net(Attention(), _rows(3, 6)),
    "tied": lambda: Net(Tied(), torch.arange(ROWS) % 4),
    "experts": lambda: Net(Experts(), _rows(4)),
    "parametrized": lambda: Net(parametrized(), _rows(4)),
    "checkpointed": lambda: Net(mlp(), _rows(4), checkpointed),
    "low_rank": lambda: Net(LowRank(), _rows(4)),
    "complex": lambda: Net(Fourier(), _rows(4)),
    "double": lambda: Net(mlp(), _rows(4).double()).double(),
    "half": lambda: Net(mlp(), _rows(4).half()).half(),
}
