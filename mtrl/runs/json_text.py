"""JSON as runs write it: finite numbers of a sane size, nested a few levels deep."""

import json
import math
import re
from typing import Any

LARGEST = 2**53
"""Whole numbers above are not told apart by a float."""
_DEEPEST = 12
_OTHERS = bytes(set(range(256)) - set(b"0123456789.eE+"))
_SHAPE = bytes.maketrans(b"123456789E" + _OTHERS, b"000000000e" + b" " * len(_OTHERS))
"""Digits become zeros, and what no number has becomes spaces: quick to search in."""
_HIGH, _LONG = re.compile(rb"e\+?000"), 200 * b"0"  # an exponent of three digits, so many digits in a row


def parse_json(text: bytes) -> Any:
    """The value that a text of JSON holds.

    Raises:
        ValueError: it is not UTF-8 or not JSON, a number is NaN, infinite or too large, or it is nested too deep; why,
            in a few words.
    """
    shape = text.translate(_SHAPE)
    may_overflow = _LONG in shape or _HIGH.search(shape)  # else the parser needs not ask for every number
    parse_float = _float if may_overflow else None
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_number, parse_int=_int, parse_float=parse_float)
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON, or cut short ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if text.count(b"[") + text.count(b"{") > _DEEPEST:
        _check_depth(value)
    return value


def _int(digits: str) -> int:
    if len(digits) > 15 and (len(digits) > 20 or abs(int(digits)) > LARGEST):
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _float(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise ValueError("nested too deep")
