"""A batch and what is done with it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mtrl.aggregation import MGDA, LinearScalarization, Method, NashMTL
from mtrl.benchmarks.qm9 import QM9
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.benchmarks.qm9.molecules import COLUMNS, Molecules
from mtrl.benchmarks.qm9.raw import ELEMENTS
from mtrl.gradients import backward
from scripts.qm9_bench.peer import Peer

MEAN_ATOMS, STD_ATOMS, MAX_ATOMS = 18.0, 3.0, 29


class Work:
    """Forward, backward and what the method asks for; no optimizer.

    Args:
        data: folder of QM9's files; None for made-up molecules.
        batch: molecules.
    """

    def __init__(self, data: Path | None, batch: int) -> None:
        torch.manual_seed(0)
        molecules = made_up(batch) if data is None else read_folder(data)
        self.source = "made-up sizes" if data is None else f"{data.name}"
        rows = torch.randperm(len(molecules.targets))[:batch]
        self.benchmark = QM9()
        self.graphs = molecules.graphs(rows)
        self.atoms = int(self.graphs.present.sum())
        self.targets = torch.randn(len(rows), len(COLUMNS))
        self.network = self.benchmark.model()

    def variants(self, peer: Peer) -> dict[str, Callable[[], object]]:
        """What is timed, by name; the first is the measure of the others."""
        mean, nash, mgda = LinearScalarization(), NashMTL(), MGDA()
        return {
            "plain step": lambda: self.step(mean),
            "plain step, a matrix per edge": lambda: self.step(mean, peer.represent),
            "11 gradients (Nash-MTL)": lambda: self.step(nash),
            "11 gradients, chunk_size 11": lambda: self.step(nash, chunk_size=len(COLUMNS)),
            "11 gradients at the representation (MGDA-UB)": lambda: self.step(mgda, features=True),
        }

    def step(
        self,
        method: Method,
        represent: Callable[..., Tensor] | None = None,
        chunk_size: int = 1,
        features: bool = False,
    ) -> None:
        self.network.zero_grad()
        z = (represent or self.network.represent)(self.graphs)
        outputs = self.network.predict(z)
        losses = [((y - t) ** 2).mean() for y, t in zip(outputs, self.targets.unbind(1), strict=True)]
        backward(
            losses,
            method,
            self.network.shared_parameters(),
            features=z if features else None,
            chunk_size=chunk_size,
        )


def made_up(count: int) -> Molecules:
    """Chains of carbon and hydrogen, as large as QM9's molecules."""
    sizes = (MEAN_ATOMS + STD_ATOMS * torch.randn(count)).round().clamp(3, MAX_ATOMS).long()
    present = torch.arange(MAX_ATOMS) < sizes[:, None]
    kinds = torch.tensor(list(ELEMENTS.values()), dtype=torch.uint8)
    elements = kinds[torch.randint(2, (count, MAX_ATOMS))] * present
    bonds = torch.zeros(count, MAX_ATOMS, MAX_ATOMS, dtype=torch.uint8)
    joined = torch.arange(MAX_ATOMS - 1)
    bonds[:, joined, joined + 1] = bonds[:, joined + 1, joined] = 1
    both = present[:, :, None] & present[:, None]
    return Molecules(elements, torch.randn(count, MAX_ATOMS, 3).cumsum(1), bonds * both, torch.randn(count, 11))
