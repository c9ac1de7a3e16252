"""The published numbers: what is in the table, and that the protocol is always told."""

import csv
from importlib import resources

import pytest

from mtrl.cli.main import main
from mtrl.protocols import BIAS
from mtrl.report.published import PROTOCOLS, published_rows, published_table


def test_every_row_is_read_once_and_under_one_protocol() -> None:
    text = (resources.files("mtrl.report") / "published.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    rows = [row for protocol in PROTOCOLS for row in published_rows(protocol)]
    assert len(rows) == len(lines)
    assert all(None not in line and None not in line.values() for line in lines)
    keys = [(row.method, row.protocol, row.source, row.steps_per_task) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(0 <= row.value <= 1 and row.source and row.read_in for row in rows)


@pytest.mark.parametrize(
    ("protocol", "method", "text"),
    [
        ("legacy", "Nash-MTL", "0.91 ± 0.031"),
        ("legacy", "MTL SAC", "0.49 ± 0.073"),
        ("legacy", "Nash-MTL, every 50, run again", "0.76 ± 0.10"),
        ("legacy", "Unitary scalarization", "0.875"),
        ("modern", "MTMHSAC width 4096", "0.937"),
        ("modern", "MOORE", "0.832"),
        ("other", "BRC single-task", "1.00"),
    ],
)
def test_known_numbers(protocol: str, method: str, text: str) -> None:
    assert text in [row.text for row in published_rows(protocol) if row.method == method]


def test_the_best_comes_first() -> None:
    for protocol in PROTOCOLS:
        values = [row.value for row in published_rows(protocol)]
        assert values == sorted(values, reverse=True)


def test_the_protocol_is_in_every_row_and_the_bias_in_the_caption() -> None:
    table = published_table("legacy")
    assert {row[table.header.index("protocol")] for row in table.texts} == {"legacy"}
    assert BIAS in table.notes[0]
    assert BIAS not in published_table("modern").notes[0]


def test_unknown_protocol() -> None:
    with pytest.raises(ValueError, match="protocol must be one of modern, legacy, other, got 'old'"):
        published_rows("old")


def test_the_command_prints_one_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--published", "legacy"]) == 0
    printed = capsys.readouterr().out
    assert "| Nash-MTL " in printed
    assert "MTMHSAC" not in printed
    assert BIAS in printed
