"""What a run was made with, which may change each time that it is resumed."""

from collections.abc import Mapping, Sequence
from typing import Any

from mtrl.report.table import NOTHING, THEN


def made_with(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the start lines of a run say; where they differ, each value once, in order, as one text."""
    made: dict[str, Any] = {}
    for name in dict.fromkeys(name for start in starts for name in start):
        values = [start.get(name) for start in starts]
        if any(isinstance(value, Mapping) for value in values):
            made[name] = made_with([value if isinstance(value, Mapping) else {} for value in values])
            continue
        different = [value for k, value in enumerate(values) if value not in values[:k]]
        texts = (NOTHING if value is None else str(value) for value in different)
        made[name] = different[0] if len(different) == 1 else THEN.join(texts)
    return made
