"""Whether a line of `metrics.jsonl` is what training writes: what each field holds, and which a kind of line must have.

A run of supervised learning counts epochs, and its values are the tasks' own; one of reinforcement learning counts
steps, and its values are those of critic and actor.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from mtrl.runs.errors import shortened
from mtrl.runs.events import Logged
from mtrl.runs.json_text import LARGEST

Check = Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= LARGEST


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _each(check: Check) -> Check:
    """A mapping of names to values that pass the check."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _are_names(value: Any) -> bool:
    texts = isinstance(value, list) and all(map(_is_text, value))
    return texts and bool(value) and len(set(value)) == len(value)


def _is_simulator(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("backend")) and _each(_is_text)(value.get("versions"))


def _is_data(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("source"))


def _is_matrix(value: Any) -> bool:
    try:
        matrix = np.array(value, dtype=np.float64)  # null is NaN
    except (TypeError, ValueError, OverflowError):
        return False
    return matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and not np.isinf(matrix).any()


_KNOWN = _or_none(_is_number)
_SHARES = _each(_or_none(_is_share)), "a share in [0, 1] or null for each task"
_VALUES = _each(_KNOWN), "a number or null for each name"
_COUNT = _is_count, "a whole number >= 0"
_TIME = _is_positive, "a number >= 0"
_TEXT = _is_text, "a text"
_COMPONENTS = _each(_VALUES[0]), "for each component a number or null for each task"
_FIELDS: Mapping[str, tuple[Check, str]] = {
    **dict.fromkeys(("step", "epoch", "updates", "seed", "resumed_at_step", "threads", "ranks"), _COUNT),
    **dict.fromkeys(("wall_s", "steps_per_s", "updates_per_s", "learning_rate"), _TIME),
    **dict.fromkeys(("success", "success_any", "success_final"), _SHARES),
    **dict.fromkeys(("return_mean", "normalized_return_mean"), (_KNOWN, "a number or null")),
    **dict.fromkeys(
        ("return", "normalized_return", "reward_factor", "value", "entropy", "temperature", "metrics"), _VALUES
    ),
    **dict.fromkeys(("device", "hardware", "split", "benchmark"), _TEXT),
    "success_mean": (_or_none(_is_share), "a share in [0, 1] or null"),
    "time_share": (_each(_is_positive), "a number >= 0 for each part"),
    **dict.fromkeys(("tasks", "returns_only"), (_are_names, "a list of different names")),
    "versions": (_each(_is_text), "a text for each package"),
    "simulator": (_is_simulator, "a mapping with backend and versions"),
    "data": (_is_data, "a mapping with source"),
    "git_commit": (_or_none(_is_text), "a text or null"),
}
_OF_KIND: Mapping[bool, Mapping[str, tuple[Check, str]]] = {
    True: {
        **dict.fromkeys(("loss", "weights", "gradient_norm"), _VALUES),
        "conflict_rate": (_KNOWN, "a number or null"),
    },
    False: {
        **dict.fromkeys(("loss", "weights", "gradient_norm"), _COMPONENTS),
        "conflict_rate": _VALUES,
        "cosines": (_each(_or_none(_is_matrix)), "a square matrix for each component"),
        "protocol": (_each(lambda value: _is_count(value) or _is_text(value)), "a number or a text for each name"),
    },
}
_NEEDED: Mapping[tuple[str, bool], tuple[str, ...]] = {
    ("start", False): ("seed",),
    ("train", False): ("step", "updates", "wall_s"),
    ("train", True): ("epoch", "wall_s", "loss"),
    ("evaluation", False): ("step",),
    ("evaluation", True): ("epoch", "split", "metrics"),
}
"""By the kind of line, and whether it is of supervised learning."""

_ROWS = (lambda value: isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)), "rows"
_MAPPING = (lambda value: isinstance(value, dict)), "a mapping"
_OF_EVALUATIONS: Mapping[str, tuple[Check, str]] = {
    **dict.fromkeys(("protocol", "data"), _MAPPING),
    **{name: _FIELDS[name] for name in ("simulator", "seed", "versions", "wall_s")},
    "checkpoint": (_each(_is_count), "a number >= 0 for each name"),
    "unseen_goals": _TEXT,
    "published_single_task": (_or_none(_each(_is_number)), "a number for each metric, or null"),
    "mean": (_each(_is_number), "a number for each name"),
}
_NAME = {"name": _TEXT}
_TASK: Mapping[str, tuple[Check, str]] = {
    **_NAME,
    "episodes": _COUNT,
    "mean_return": (_is_number, "a number"),
}
_SCORES: Mapping[str, tuple[Check, str]] = {
    **dict.fromkeys(
        ("success_any", "success_final", "success_any_unseen", "success_final_unseen"),
        (_is_share, "a share in [0, 1]"),
    ),
    "normalized_return": (_is_number, "a number"),
}
_METRIC: Mapping[str, tuple[Check, str]] = {
    **_NAME,
    "task": _TEXT,
    "unit": _TEXT,
    "higher_is_better": (lambda value: isinstance(value, bool), "true or false"),
    "value": (_is_number, "a number"),
}


def check_event(event: Any) -> Logged:
    """The event, if it is one.

    Raises:
        ValueError: what is not as training writes it.
    """
    if not isinstance(event, dict) or not isinstance(kind := event.get("kind"), str):
        raise ValueError("not a mapping with a kind")
    supervised = "epoch" in event
    for name in _NEEDED.get((kind, supervised), ()):
        if name not in event:
            raise ValueError(f"{name} is missing")
    score = {"train": "success", "evaluation": "success_any"}.get(kind)
    if score and not supervised and score not in event and "return" not in event:
        raise ValueError(f"{score} is missing")
    _check_fields(event, {**_FIELDS, **_OF_KIND[supervised]})
    return cast(Logged, event)


def check_evaluation(record: Any) -> dict[str, Any]:
    """The content of an `evaluation.json`, if it is one.

    Raises:
        ValueError: what is not as an evaluation writes it.
    """
    if not isinstance(record, dict):
        raise ValueError("not a mapping")
    supervised = "metrics" in record
    rows = "metrics" if supervised else "tasks"
    for name in (rows, "protocol", "data" if supervised else "simulator"):
        if name not in record:
            raise ValueError(f"{name} is missing")
    _check_fields(record, {**_OF_EVALUATIONS, rows: _ROWS})
    fields = _METRIC if supervised else _TASK
    for row in record[rows]:
        for name in fields:
            if name not in row:
                raise ValueError(f"{name} of one of {rows} is missing")
        if ("success_any" in row) != ("success_final" in row):
            raise ValueError(f"success_any or success_final of one of {rows} is missing")
        _check_fields(row, {**fields, **_SCORES})
    names = [row["name"] for row in record[rows]]
    if len(set(names)) < len(names):
        raise ValueError(f"one of {rows} is there twice")
    return record


def _check_fields(values: Mapping[str, Any], fields: Mapping[str, tuple[Check, str]]) -> None:
    for name, value in values.items():
        check, rule = fields.get(name, (None, ""))
        if check and not check(value):
            raise ValueError(f"{name} must be {rule}, got {shortened(value)}")
