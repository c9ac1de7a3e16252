"""What of a compiled function is looked at again at each call."""

import torch
from torch import Tensor

from mtrl.agents.compiling import Compiler


class Method:
    weight = 1


class Directions:
    """As the learner's: a method with a state, and parts that never change."""

    def __init__(self) -> None:
        self.method, self.layouts = Method(), [1]

    def direction(self, vector: Tensor) -> Tensor:
        return vector * self.method.weight * self.layouts[0]

    def losses(self, vector: Tensor) -> Tensor:
        return self.direction(vector) + 1


def test_a_methods_state_is_looked_at_and_the_parts_that_never_change_are_not() -> None:
    compiler, directions, vector = Compiler(torch.device("cpu")), Directions(), torch.ones(2)
    compiler(directions.direction)  # the next one is compiled in the same way
    losses = compiler(directions.losses)
    assert losses(vector).tolist() == [2, 2]
    directions.layouts[0] = 5
    assert losses(vector).tolist() == [2, 2]
    directions.method.weight = 3
    assert losses(vector).tolist() == [16, 16]
