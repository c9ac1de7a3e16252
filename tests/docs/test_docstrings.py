"""The examples in docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

FOLDERS = ("mtrl", "agents", "envs")


def module_name(file: Path) -> str:
    """What a file of the repository is imported as; the folders beside `mtrl` are packages in it."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join((*(() if parts[0] == "mtrl" else ("mtrl",)), *parts)).removesuffix(".__init__")


SHOWING = sorted(
    {
        module_name(file.resolve())
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        if ">>> " in file.read_text()
    }
)


@pytest.mark.parametrize("name", SHOWING)
def test_examples_print_what_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_there_are_examples_where_people_begin() -> None:
    assert {"mtrl.gradients.training_loop", "mtrl.aggregation", "mtrl.statistics.aggregates"} <= {*SHOWING}
