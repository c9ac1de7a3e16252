"""The pages build without a warning, need no network, and fit on a phone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.docstrings import known_names
from tests.docs.pages import DOCS, ROOT
from tests.report.test_page import CHROMIUM

pytest.importorskip("sphinx", reason="extra `docs`")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    words = ["-W", "--keep-going", "--quiet", "-b", "html", "-d", str(folder / "trees"), "docs", str(folder / "html")]
    # A proxy that is not there: whatever would be fetched fails.
    environment = os.environ | dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "sphinx", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_each_page_and_the_whole_reference_is_there(built: Path) -> None:
    pages = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [page for page in pages if not (built / page).is_file()] == []
    reference = (built / "api/aggregation.html").read_text()
    shown = set(re.findall(r'id="(mtrl[\w.]+)"', "".join(page.read_text() for page in (built / "api").glob("*.html"))))
    elsewhere = {"mtrl.agents.Config", "mtrl.envs.views"}  # on pages of their own
    assert set(known_names().values()) - shown == elsewhere
    assert 'id="mtrl.aggregation.NashMTL"' in reference
    assert 'id="mtrl.aggregation.NashMTL.weigh"' not in reference  # which says nothing of its own
    assert 'href="aggregation.html#mtrl.aggregation.LinearScalarization"' in (built / "api/gradients.html").read_text()
    assert 'id="mtrl.gradients.backward"' in (built / "api/gradients.html").read_text()


def test_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    for page in built.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)"', page.read_text())
        assert loaded == [], page


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(built: Path, width: int) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing")
    told: list[str] = []
    wide = {}
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url))
        for path in sorted(built.rglob("*.html")):
            page.goto(path.as_uri())
            wide[path.name] = page.evaluate("document.documentElement.scrollWidth") - width
        browser.close()
    assert [line for line in told if not line.startswith(("file:", "data:"))] == []
    assert {name: by for name, by in wide.items() if by > 0} == {}
