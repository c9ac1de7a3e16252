"""A package with trunks of one's own, as somebody else would write it."""

from pathlib import Path

import pytest

from tests.own_package import write_package

OWN = '''
from torch.nn import functional

from mtrl.agents.networks.layers import Linear
from mtrl.agents.networks.parameters import init_all


class Skip:
    """Layers whose input is added to their output."""

    def __init__(self, hidden, num_inputs, width, depth, num_experts=1):
        self.num_outputs = width
        self.first = hidden("first", num_inputs, width, first=True)
        self.layers = [hidden(f"layer{i}", width, width, norm=True) for i in range(depth * num_experts)]

    def init(self, num_tasks, generator):
        return init_all([self.first, *self.layers], num_tasks, generator)

    def __call__(self, forward, x):
        x = functional.relu(self.first(forward, x))
        for layer in self.layers:
            x = x + functional.relu(layer(forward, x))
        return x


class Twice(Skip):
    """One layer is called twice."""

    def __call__(self, forward, x):
        x = super().__call__(forward, x)
        return functional.relu(self.layers[0](forward, x))


class SameName(Skip):
    """Two layers have one name."""

    def __init__(self, hidden, num_inputs, width, depth):
        super().__init__(hidden, num_inputs, width, depth)
        self.layers += [hidden("layer0", width, width)]


class ByHand(Skip):
    """A weight is multiplied by past its layer."""

    def __call__(self, forward, x):
        return super().__call__(forward, x) @ forward.shared["layer0.weight"].to(x.dtype)


class Infinite(Skip):
    """The logarithm of what is negative."""

    def __call__(self, forward, x):
        return super().__call__(forward, x - x.exp()).neg().log()


class Mute(Skip):
    """It does not say how many outputs it has."""

    def __init__(self, hidden, num_inputs, width, depth):
        super().__init__(hidden, num_inputs, width, depth)
        del self.num_outputs


class Wrong(Skip):
    """Another number of outputs than it says."""

    def __call__(self, forward, x):
        return super().__call__(forward, x)[..., :-1]


class Asking(Skip):
    def __init__(self, hidden, num_inputs, width, depth, encoder_width):
        super().__init__(hidden, num_inputs, width, depth)


class Unknown(Skip):
    def __init__(self, hidden, num_inputs, width, depth, heads):
        super().__init__(hidden, num_inputs, width, depth)


class Blind(Skip):
    def __init__(self, num_inputs, width, depth):
        pass


class Plain:
    """It is no trunk."""
'''


def write_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`own_trunks.skip`, which can be imported until the test ends."""
    write_package(folder, monkeypatch, "own_trunks", skip=OWN)
