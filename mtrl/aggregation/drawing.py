"""Methods that draw random numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrl.aggregation.solvers.random_stream import checked_seed, random_key, random_keys


class Drawing(nn.Module):
    """What a method that draws is besides: where it stands in its random stream is part of its state."""

    seed: int
    key: Tensor
    """Of the stream; `[S]` of one for each of the problems along the leading axis."""
    step: Tensor
    """Calls so far."""

    def start_stream(self, seed: int) -> None:
        """Begins the stream of a seed; to be called when the method is made.

        Raises:
            ValueError: it is negative or has more than 63 bits.
        """
        self.seed = checked_seed(type(self).__name__, seed)
        self.register_buffer("key", random_key(seed))
        self.register_buffer("step", torch.tensor(0))

    def draw_apart(self, seeds: Sequence[int]) -> None:
        """See `AnyMethod.draw_apart`."""
        self.key = random_keys(seeds)
