"""Imports within the packages, those inside functions too: none closes a circle; between them, see `lint-imports`."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other round in a circle; empty if none do."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_closes_a_circle():
    graph = grimp.build_graph("mtrl", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "mtrl.agents.learner" in imports["mtrl.agents.factory"]  # the links are followed
    assert circle(imports) == []


@pytest.mark.parametrize(("imports", "expected"), [({"a": {"b"}, "b": {"c"}}, 0), ({"a": {"b"}, "b": {"a"}}, 3)])
def test_a_circle_is_seen(imports, expected):
    assert len(circle(imports)) == expected
