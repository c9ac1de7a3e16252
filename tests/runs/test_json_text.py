"""Numbers in JSON: those that are too large are found wherever and however they are written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtrl.runs.json_text import LARGEST, parse_json

PLACES = ("{}", "[{}]", '{{"a": {}}}', '{{"a": [0.1, {}], "e000": 1}}', "[[1e5],{}]", '{{"a": {}, "a": 1}}')
TOO_LARGE = ("1e309", "1E309", "-1e+309", "0.1E+0310", "1" + 309 * "0" + ".0", "-" + 220 * "9" + "e99", "2e999999")
LONG = (str(LARGEST + 1), str(-LARGEST - 1), 25 * "9", 5_000 * "9", "-" + 5_000 * "9")
FINE = (
    *(str(LARGEST), str(-LARGEST), "1e308", "1E+0300", "-0.1e-400", "1" + 300 * "0" + ".0"),
    *("0." + 400 * "1", "0.12345678901234567", "1e5", "-0.0", "0"),
)


@pytest.mark.parametrize("place", PLACES)
def test_numbers_that_are_too_large_are_refused(place: str) -> None:
    for number in TOO_LARGE:
        with pytest.raises(ValueError, match="is too large"):
            parse_json(place.format(number).encode())
    for number in LONG:
        with pytest.raises(ValueError, match=f"a number of {len(number):,} digits"):
            parse_json(place.format(number).encode())


@pytest.mark.parametrize("place", PLACES)
def test_others_are_what_they_are(place: str) -> None:
    for number in FINE:
        text = place.format(number)
        assert parse_json(text.encode()) == json.loads(text)


@given(
    st.recursive(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-LARGEST, LARGEST)), st.lists)
)
def test_what_is_written_is_read(value: Any) -> None:
    assert repr(parse_json(json.dumps([value, {"e": value}]).encode())) == repr([value, {"e": value}])


@pytest.mark.parametrize("depth", [3, 12, 13, 400, 100_000])
def test_depth(depth: int) -> None:
    text = (b"[" * depth) + (b"]" * depth)
    if depth <= 12:
        parse_json(text)
        return
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(text)
