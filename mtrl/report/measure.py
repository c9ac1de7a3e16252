"""What a table or a curve of tasks is about: their success, or the returns of tasks that tell of none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mtrl.report.table import Cell, rate


def long_number(value: Cell) -> str:
    """A return as text."""
    return f"{value:,.1f}"


@dataclass(frozen=True)
class Measure:
    """A score of a task; more is better."""

    name: str
    """Of axes and titles."""
    label: str
    """Of an evaluation's score."""
    key: Literal["success_any", "normalized_return", "mean_return"]
    """In `evaluation.json` and in CSV files."""
    trained: Literal["success", "normalized_return", "return"]
    """In a `train` event."""
    evaluated: Literal["success_any", "normalized_return", "return"]
    """In an `evaluation` event."""
    how: str
    """Of the scores, for a reader."""
    is_share: bool = False
    """It lies in [0, 1], and so are plots and colours."""
    text: Callable[[Cell], str] = field(default=rate, compare=False)

    @property
    def title(self) -> str:
        """The title of a chapter."""
        return "Success" if self.is_share else "Returns"

    @property
    def file(self) -> str:
        """The name of the file with the table of all methods, without its ending."""
        return "success" if self.is_share else "returns"

    @property
    def limits(self) -> tuple[float, float] | None:
        """The ends of an axis; None for what the values need."""
        return (-0.02, 1.02) if self.is_share else None


SUCCESS = Measure(
    "success",
    "any-step success",
    "success_any",
    "success",
    "success_any",
    "Any-step: success at some step of the episode; final-step: at its last step.",
    is_share=True,
)
NORMALIZED = Measure(
    "normalized return",
    "normalized return",
    "normalized_return",
    "normalized_return",
    "normalized_return",
    "Normalized return: 0 is the return of random actions, 1 that of a good agent, by the table of references.",
)
RETURN = Measure(
    "return",
    "return",
    "mean_return",
    "return",
    "return",
    "Return: undiscounted sum of an episode's rewards; its scale is each task's own: means over tasks say little.",
    text=long_number,
)
