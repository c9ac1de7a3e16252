"""The toy problem in a configuration."""

from typing import Annotated, Literal

from pydantic import Field

from mtrl.runs.section import Count, PositiveFloat, Section


class Toy(Section):
    """Two losses of two variables (Liu et al. 2021; Navon et al. 2022), from five starts, without data. A run has all
    starts at all scales side by side, each with weights of its own.
    """

    name: Literal["toy"] = "toy"
    """Of the benchmark."""
    scales: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, max_length=100)] = (0.1, 1.0)
    """What the first loss is multiplied by."""
    steps_per_epoch: Count = 1_000
    """Steps of Adam that are called an epoch."""
