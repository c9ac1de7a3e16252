"""A report's page, read as a browser would: its tables, pictures and addresses."""

import csv
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path


@dataclass
class Page(HTMLParser):
    """What there is in it."""

    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    """Header and rows of texts, by identifier."""
    labels: list[str] = field(default_factory=list)
    """Of pictures."""
    ids: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.open_tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id" and value]
        self.addresses += [value for name, value in attributes if name in ("href", "src", "xlink:href") and value]
        if tag == "table":
            self.rows = self.tables[given["id"] or ""] = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "svg" and given.get("role") == "img":
            self.labels.append(given["aria-label"] or "")
        if tag in ("meta", "link"):
            self.open_tags.pop()

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in ("meta", "link"):
            self.open_tags.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def read_page(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open_tags == []
    return page


def check(folder: Path) -> Page:
    """Check what holds of every page: it needs nothing else, and its numbers are those of the CSV files."""
    page = read_page(folder / "index.html")
    assert page.labels
    assert all(page.labels)
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif not address.startswith("data:"):
            assert not re.match(r"\w+:|//", address), address
            assert address.endswith(".mp4") or (folder / address).is_file(), address
    assert page.tables
    for name, rows in page.tables.items():
        _check_table(rows, folder / f"{name}.csv")
    return page


def _check_table(rows: list[list[str]], path: Path) -> None:
    """Each text of the page is, rounded, one of its CSV line, and they come in the same order."""
    with path.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    assert len(lines) == len(rows) - 1
    for texts, values in zip(rows[1:], lines, strict=True):
        left = iter(values)
        for text in (part for cell in texts for part in cell.split(" to ")):
            assert any(_is(text, value) for value in left), (path.name, text, values)


def _is(text: str, value: str) -> bool:
    if text == "–" or not value:
        return text == "–" and not value
    try:
        shown, exact = float(text.replace(",", "")), float(value)
    except ValueError:
        return value.startswith(text.split("+")[0])
    mantissa, _, exponent = text.lower().replace(",", "").partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return abs(shown - exact) <= 0.5001 * 10.0**-decimals or (decimals == 0 and abs(shown / exact - 1) < 0.005)
