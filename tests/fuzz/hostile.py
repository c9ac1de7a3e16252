"""What people, disks and other people's programs could leave where a file or an option is read."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

HOSTILE_TEXTS = (
    *(
        "",
        " ",
        "~",
        "null",
        "true",
        "yes",
        "-",
        "---",
        "...",
        "'",
        '"',
        "#",
        "&a [*a]",
        "&a {b: *a}",
        "*a",
        "!!python/x",
    ),
    *("9" * 5_000, "-" + "9" * 400, "1e400", "-.inf", ".nan", "1_", "1__0", "0x1", "1e5", "007", "[" * 400, "{" * 400),
    *(
        "a\0b",
        "\udc80",
        "é",
        "\u2028",
        "x" * 5_000,
        "../../x",
        "/dev/zero",
        "{a: 1, a: 2}",
        "[1, [2, [3]]]",
        "? [a] : b",
    ),
    *("!!binary aGk=", "!!set {a}", "2020-01-01", "<<: {a: 1}", "%TAG", "%s %d {}", "$(true)", "-1", "0", "1.5"),
)
numbers = st.one_of(
    st.integers(),
    st.integers(0, 10**30),
    st.floats(),
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**12, 10**26, 1e308, -0.0, 1e-320]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(HOSTILE_TEXTS), st.text(max_size=8))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def fuzz(quick: int, slow: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A property that is tried so many times, and with `-m slow` more often."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize("examples", [quick, pytest.param(slow, marks=pytest.mark.slow)])
        def repeated(examples: int, tmp_path_factory: pytest.TempPathFactory) -> None:
            checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.nested_given]
            settings.register_profile(
                "fuzz", max_examples=examples, deadline=None, suppress_health_check=checks, database=None
            )
            settings.load_profile("fuzz")
            try:
                test(tmp_path_factory.mktemp("fuzz"))
            finally:
                settings.load_profile("default")

        repeated.__name__, repeated.__doc__ = test.__name__, test.__doc__
        return repeated

    return decorate


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes flipped, cut, repeated, put in or exchanged."""
    kind = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "insert", "zero"]))
    start = draw(st.integers(0, len(content) - 1))
    stop = min(len(content), start + draw(st.integers(1, 64)))
    if kind == "flip":
        return content[:start] + bytes([content[start] ^ 1 << draw(st.integers(0, 7))]) + content[start + 1 :]
    if kind == "cut":
        return content[:start]
    middle = {"drop": b"", "repeat": content[start:stop] * 2, "zero": bytes(stop - start)}
    put = middle[kind] if kind in middle else draw(st.binary(max_size=16)) + content[start:stop]
    return content[:start] + put + content[stop:]


@st.composite
def damaged_tree(draw: st.DrawFn, tree: Any) -> Any:
    """One value somewhere in a tree of JSON made another, or taken away."""
    tree = json.loads(json.dumps(tree))
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return tree
        key = draw(st.sampled_from(list(keys)))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.integers(0, 4)) == 0:
            del place[key]
        else:
            place[key] = draw(trees)
        return tree


def one_line(error: BaseException) -> None:
    """What a user is told is one line of a sane length."""
    assert str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 2_000


@contextmanager
def at_once() -> Iterator[None]:
    """An answer takes a second of the processor at most; importing the program is not a part of it."""
    start = time.process_time()
    try:
        yield
    finally:  # also of a refusal
        assert time.process_time() - start < 1
