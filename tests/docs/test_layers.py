"""CONTRIBUTING shows the layers that `lint-imports` checks."""

import re
import tomllib

from tests.docs.pages import ROOT


def test_its_table_has_all_layers_from_top_to_bottom() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    rows = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| `mtrl.")]
    shown = [set(re.findall(r"`([\w.]+)`", row.split("|")[1])) for row in rows]
    assert shown == [set(layer.split(" | ")) for layer in layers]
