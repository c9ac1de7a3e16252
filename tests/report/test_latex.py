"""`mtrl report --latex`: every Markdown table as LaTeX, cell for cell."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mtrl.cli.main import main
from mtrl.report import write_report
from mtrl.report.latex import escaped, latex
from tests.report.run_folders import result, write_run
from tests.report.test_metric_report import write_run as metric_run

UNESCAPED = {r"\_": "_", r"\%": "%", r"\&": "&", r"\#": "#", "--": "–", r"\textbar{}": "|", r"$\pm$": "±"}
UNESCAPED |= {r"\textless{}": "<", r"$\uparrow$": "↑", r"$\downarrow$": "↓"}


def cells(text: str) -> list[list[str]]:
    """Those of all rows of a LaTeX table, as text."""
    found = []
    for line in re.findall(r"^    (?!\\(?:top|mid|bottom)rule)(.*) \\\\$", text, re.MULTILINE):
        row = re.split(r"(?<!\\)&", line)
        for written, meant in UNESCAPED.items():
            row = [cell.replace(written, meant) for cell in row]
        found.append([cell.strip() for cell in row])
    return found


def markdown_cells(text: str) -> list[list[str]]:
    """Those of the first table in a Markdown file."""
    lines = [line for line in text.partition("## ")[0].splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [row for i, row in enumerate(rows) if i != 1]  # without the rule


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("latex")
    for name in ("nash_mtl", "mean"):
        for seed in range(3):
            write_run(tmp_path, name, seed, final=result(3000, seed, (1.0, 0.5), (0.5, seed / 4)))
    runs = [str(tmp_path / name) for name in ("nash_mtl", "mean")]
    assert main(["report", *runs, "--out", str(tmp_path / "report"), "--latex"]) == 0
    assert main(["report", *runs, "--out", str(tmp_path / "plain")]) == 0
    return tmp_path / "report"


def test_each_markdown_table_is_a_latex_table_too(report: Path) -> None:
    names = {path.stem for path in report.glob("*.md")}
    assert {path.stem for path in report.glob("*.tex")} == names
    assert names >= {"success", "tasks_any_step", "runs", "learning"}
    for name in names:
        text = (report / f"{name}.tex").read_text()
        rows = cells(text)
        assert rows == markdown_cells((report / f"{name}.md").read_text()), name
        assert rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}" in text
        assert rf"\label{{tab:{name}}}" in text
        assert [text.count(rf"\{rule}") for rule in ("toprule", "bottomrule", "begin{table}", "end{table}")] == [1] * 4
        assert text.isascii()
    success = (report / "success.tex").read_text()
    assert r"nash\_mtl any-step" in success
    assert success.count(r"\midrule") == 2  # below the header, above the mean
    assert "Simulator metaworld" in success


def test_of_supervised_runs(tmp_path: Path) -> None:
    for name in ("own_1", "mean"):
        metric_run(tmp_path, name, (70, 1.0, 4.0), published=(70, 1.0, 5.0))
    write_report([tmp_path / "own_1", tmp_path / "mean"], tmp_path / "report", pytest.fail, with_latex=True)
    text = (tmp_path / "report" / "metrics.tex").read_text()
    assert cells(text) == markdown_cells((tmp_path / "report" / "metrics.md").read_text())
    assert r"own\_1" in text
    assert r"$\uparrow$" in text
    assert {path.stem for path in (tmp_path / "report").glob("*.tex")} >= {"metrics", "methods", "runs"}


def test_without_the_option_a_report_is_what_it_was(report: Path) -> None:
    plain = report.parent / "plain"
    assert {path.name for path in plain.iterdir()} == {p.name for p in report.iterdir() if p.suffix != ".tex"}
    assert (plain / "success.md").read_bytes() == (report / "success.md").read_bytes()


def test_what_latex_would_take_for_something_else() -> None:
    assert escaped(r"a_b & 5% of $x^2$ #1 {~} \n") == (
        r"a\_b \& 5\% of \$x\textasciicircum{}2\$ \#1 \{\textasciitilde{}\} \textbackslash{}n"
    )
    assert escaped("95% ↓, – ± <1") == r"95\% $\downarrow$, -- $\pm$ \textless{}1"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_it_compiles(tmp_path: Path) -> None:
    table = latex("t", "A_title & [brackets]", ["a", "b_c"], [["x%", "1 ± 2"], ["mean", "–"]], [r"Of \all."])
    text = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + table + r"\end{document}"
    (tmp_path / "x.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
