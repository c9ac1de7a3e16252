"""The notebooks run from top to bottom, and their own claims hold."""

import os
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

nbformat = pytest.importorskip("nbformat", reason="extra `dev`")
nbclient = pytest.importorskip("nbclient", reason="extra `dev`")
pytest.importorskip("ipykernel", reason="extra `dev`")

NOTEBOOKS = sorted(DOCS.glob("notebooks/*.ipynb"))
SHORTER = {"mt1": ("steps=16_000", 'steps=2_400, evaluation={"episodes": 5, "horizon": 60}')}
"""What a test does with fewer of: no claim is about the end of the training or the evaluation."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, 4)
    if path.stem in SHORTER:
        whole, shorter = SHORTER[path.stem]
        (cell,) = (cell for cell in notebook.cells if whole in cell.source)
        cell.source = cell.source.replace(whole, shorter)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", ()) for output in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_shipped_was_run(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 1e6
