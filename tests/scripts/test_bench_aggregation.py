"""The benchmark of the aggregation methods, as a user runs it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mtrl.aggregation import METHODS
from tests.scripts.running import process, script
from tests.scripts.tables import unpadded

JUDGED = {"cagrad", "con_fig", "dual_proj", "fair_grad", "imtl_g", "mgda", "nash_mtl", "upgrad"}
"""Their answers are told to be right by a condition of their own."""
QUICK = ["--tasks", "4", "--batch", "3", "--seconds", "0.001"]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What is printed, and the cells."""
    out = tmp_path_factory.mktemp("bench") / "bench.json"
    done = process("bench_aggregation", *QUICK, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())["cells"]


def test_a_row_per_method_and_finite_numbers(figures: tuple[str, list[dict[str, Any]]]) -> None:
    text, cells = unpadded(figures[0]), figures[1]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row in METHODS] == list(METHODS)
    for name in METHODS:
        mine = [cell for cell in cells if cell["method"] == name and cell["who"] == "ours" and cell["device"] == "cpu"]
        assert {cell["family"] for cell in mine if cell["batch"] is None} == {"independent", "spread"}, name
        for cell in mine:
            assert not cell["trouble"], cell
            assert 0 < cell["ms"] < math.inf, cell
            assert (cell["error"] is not None) == (name in JUDGED and cell["batch"] is None), cell
            assert cell["error"] is None or cell["error"] < 1e-8, cell
    assert "thread" in text.splitlines()[-1]


def test_peers_are_measured_beside(figures: tuple[str, list[dict[str, Any]]]) -> None:
    pytest.importorskip("torchjd")
    pytest.importorskip("cvxpy")
    _, cells = figures
    peers = [cell for cell in cells if cell["who"] != "ours"]
    expected = {("cvxpy", "nash_mtl"), *(("torchjd", name) for name in ("cagrad", "mean", "mgda", "nash_mtl"))}
    assert expected <= {(cell["who"], cell["method"]) for cell in peers}
    for cell in peers:
        # It may warn, or fail on norms that are far apart, but not for being called in a wrong way.
        assert cell["ms"] or cell["family"] == "spread", cell
        assert not any(word in line for line in cell["trouble"] for word in ("AttributeError", "TypeError")), cell
    easy = {c["method"]: c for c in cells if c["who"] == "torchjd" and c["family"] == "independent"}
    assert easy["nash_mtl"]["error"] < 1e-5  # it is right on easy input: the two are given the same problem
    assert easy["cagrad"]["error"] < 1e-2
    assert easy["mean"]["error"] == 0
    for name in ("aligned_mtl", "con_fig", "dual_proj", "fair_grad", "imtl_g", "krum", "sdm_grad", "trimmed_mean"):
        assert easy[name]["error"] < 1e-6, name


def test_without_the_peers(tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    done = process("bench_aggregation", *QUICK, "--out", str(out), without=("torchjd", "cvxpy"))
    assert done.returncode == 0, done.stderr
    assert "torchjd is not installed (pip install torchjd)" in done.stderr
    assert "cvxpy is not installed (pip install cvxpy)" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "TorchJD" not in done.stdout
    assert "cvxpy" not in done.stdout
    assert out.read_text() == done.stdout


def test_a_peer_that_raises_is_a_cell() -> None:
    """TorchJD's own dependencies gone, it raises when it is built."""
    pytest.importorskip("torchjd")
    done = process("bench_aggregation", *QUICK, without=("clarabel", "qpsolvers", "quadprog"))
    assert done.returncode == 0, done.stderr
    assert "| raises / raises |" in unpadded(done.stdout)
    assert "- torchjd cagrad raised ImportError" in done.stdout


def test_refuses_nonsense() -> None:
    done = script("bench_aggregation", "--tasks", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("need positive numbers")
