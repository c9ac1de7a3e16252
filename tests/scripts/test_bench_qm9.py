"""The benchmark of QM9's network runs and has a row per variant; its peer is the same network."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tests.scripts.running import process, script
from tests.scripts.tables import unpadded


def test_a_row_per_variant(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = process("bench_qm9", "--smoke", "--json", str(out))
    assert done.returncode == 0, done.stderr
    rows = {row["variant"]: row for row in json.loads(out.read_text())["rows"]}
    assert next(iter(rows)) == "plain step"
    assert rows["plain step"]["times_plain"] == 1
    assert {"plain step, a matrix per edge", "11 gradients (Nash-MTL)"} <= rows.keys()
    assert all(f"| {name} |" in unpadded(done.stdout) for name in rows)
    assert all(row["ms"] > 0 and row["molecules_per_s"] > 0 for row in rows.values())
    assert rows["plain step, a matrix per edge"]["peak_mib"] > rows["plain step"]["peak_mib"] > 0


def test_a_mistake_is_one_line() -> None:
    done = script("bench_qm9", "--batch", "0")
    assert done.returncode == 2
    assert "--batch needs to be at least 1, got 0" in done.stderr


@pytest.mark.parametrize("installed", [True, False])
def test_the_peer_is_the_same_network(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.qm9_bench import peer, work

    if installed:
        pytest.importorskip("torch_geometric")
    else:
        monkeypatch.setattr(peer, "find_spec", lambda name: None)
    made = work.Work(None, 5)
    with torch.no_grad():
        theirs = peer.Peer(made.network).represent(made.graphs)
        assert_close(made.network.represent(made.graphs), theirs, atol=1e-6, rtol=0)
