"""Random numbers as a function of the run's seed and the place in the run: resuming needs no generator's state."""

import numpy as np
from torch import Generator

FIRST_PARAMETERS, ORDER, AUGMENTATION, DROPOUT, METHOD = range(5)


def seed_of(seed: int, *place: int) -> int:
    """A seed of its own for a stream, an epoch, a step."""
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0] >> 1)


def generator(seed: int, *place: int) -> Generator:
    """A generator on the CPU, see `seed_of`."""
    return Generator().manual_seed(seed_of(seed, *place))
