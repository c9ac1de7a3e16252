"""Links on pages that are read as files lead to files that are there."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT, name_of


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("results/**/*.md")], ids=name_of)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_example_report_has_what_its_page_links() -> None:
    folder = ROOT / "results" / "example-report"
    targets = re.findall(r'href="([^"#:]+)"', (folder / "index.html").read_text(encoding="utf-8"))
    assert "headline.csv" in targets
    assert not [target for target in targets if not (folder / target).exists()]


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= 8 * 1024


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("results/**/*.md")], ids=name_of)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"`((?:agents|configs|docs|envs|mtrl|results|scripts|tests)/[\w./-]*)`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
