#!/usr/bin/env python
"""Writes results/README.md from what the other scripts have left in results/.

python scripts/reproduce/summary.py [--results results]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import page
from options import ROOT
from page import Claim, Page, Table

HEAD = """# Results

The tables and figures of Sener & Koltun 2018 (MGDA) and Navon et al. 2022 (Nash-MTL), trained again. Each section is
made by one script of [`scripts/reproduce`](../scripts/reproduce), which goes on where it was stopped; this page by
`python scripts/reproduce/summary.py`. Published numbers stand beside ours where data, size and protocol are the same,
below them where they are not, and nowhere near made-up data. Seeds were fixed before the first run; none is left out.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--results", type=Path, default=ROOT / "results", help="folder, default results")
    options = made.parse_args(arguments)
    if not options.results.is_dir():
        made.error(f"--results needs a folder, got {options.results}")
    folders = sorted(path.parent for path in options.results.glob("*/rows.json"))
    pages = [(folder.name, read(folder / "rows.json")) for folder in folders]
    parts = [HEAD]
    parts += ["## " + page.text(one, prefix=f"{name}/", level=2) for name, one in pages]
    others = [path for path in options.results.glob("*/README.md") if path.parent not in folders]
    others += [path for path in options.results.glob("*.md") if path.name != "README.md"]
    if others:
        lines = [f"- [{title(path)}]({path.relative_to(options.results)})" for path in sorted(others)]
        parts.append("## Other results\n\n" + "\n".join(lines) + "\n")
    (options.results / "README.md").write_text("\n".join(parts))
    print(options.results / "README.md")


def title(path: Path) -> str:
    """The first line, a Markdown heading."""
    return path.read_text().partition("\n")[0].removeprefix("# ")


def read(path: Path) -> Page:
    """A page from its JSON."""
    fields = json.loads(path.read_text())
    tables = tuple(Table(**table) for table in fields.pop("tables"))
    claims = tuple(Claim(**claim) for claim in fields.pop("claims"))
    return Page(**fields, tables=tables, claims=claims)


if __name__ == "__main__":
    main()
