"""The seeds that follow from a run's seed."""

from typing import NamedTuple

import numpy as np


class Streams(NamedTuple):
    """The seeds of what a run draws, its goals aside."""

    agent: int
    batches: int
    noise: int


def streams(seed: int) -> Streams:
    """The streams that a run's seed decides."""
    return Streams(*(int(stream.generate_state(1)[0]) for stream in np.random.SeedSequence(seed).spawn(3)))


def method_seeds(seed: int) -> tuple[int, int]:
    """Seeds of the methods of critic and actor, which follow from their learner's."""
    critic, actor = np.random.SeedSequence(seed).spawn(1)[0].generate_state(2)
    return int(critic), int(actor)


def task_seeds(seed: int, num_tasks: int) -> list[int]:
    """Seeds of the agents of single tasks, which follow from their learner's."""
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(num_tasks)]
