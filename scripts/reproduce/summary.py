"""Writes results/README.md from what the other scripts have left in results/.

python -m scripts.reproduce.summary [--results results]
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mtrl.report import markdown
from mtrl.report.table import text_table
from scripts.reproduce import page
from scripts.reproduce.options import ROOT
from scripts.reproduce.page import Claim, Reproduction

HEAD = """# Results

The tables and figures of Sener & Koltun 2018 (MGDA) and Navon et al. 2022 (Nash-MTL), trained again. Each section is
made by one script of [`scripts/reproduce`](../scripts/reproduce), which goes on where it was stopped: that of the toy
problem by `python -m scripts.reproduce.toy` (a section's last line is what was typed then, at its commit), this page by
`python -m scripts.reproduce.summary`. Published numbers stand beside ours where data, size and protocol are the same,
below them where they are not, and nowhere near made-up data. Seeds were fixed before the first run; none is left out.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--results", type=Path, default=ROOT / "results", help="folder, default results")
    options = made.parse_args(arguments)
    if not options.results.is_dir():
        made.error(f"--results needs a folder, got {options.results}")
    (options.results / "README.md").write_text(whole(options.results))
    print(options.results / "README.md")


def whole(results: Path) -> str:
    """The page of a folder of results."""
    folders = sorted(path.parent for path in results.glob("*/rows.json"))
    pages = [(folder.name, read(folder / "rows.json")) for folder in folders]
    parts = [HEAD, f"{at_a_glance(pages)}\n"]
    parts += ["## " + page.text(one, prefix=f"{name}/", level=2) for name, one in pages]
    known = {*folders, results / "README.md"}
    others = sorted(path for path in results.iterdir() if path not in known)
    if others:
        lines = [f"- [{title(path)}]({path.name})" for path in others]
        parts.append("## Other results\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def at_a_glance(pages: Sequence[tuple[str, Reproduction]]) -> str:
    """How the claims of each page fared."""
    header = ("what the papers say", "claims", "hold", "do not", "within the spread of the seeds", "not decided")
    rows = []
    for name, one in pages:
        kinds = [kind(claim.verdict) for claim in one.claims]
        counts = [str(kinds.count(k)) for k in ("holds", "does not hold", "spread", "")]
        rows.append((f"[{one.title}]({name}/table.md)", str(len(kinds)), *counts))
    return markdown(header, rows)


def kind(verdict: str) -> str:
    """`holds`, `does not hold`, `spread`, or nothing for what was not run or has one seed."""
    if "one seed" in verdict or verdict == "not run":
        return ""
    return "spread" if "spread" in verdict else "does not hold" if verdict.startswith("does not") else "holds"


def title(path: Path) -> str:
    """The heading of a Markdown file, or of a folder's README.md; the name of a folder without one."""
    described = path / "README.md" if path.is_dir() else path
    return described.read_text().partition("\n")[0].removeprefix("# ") if described.exists() else f"`{path.name}`"


def read(path: Path) -> Reproduction:
    """A page from its JSON."""
    fields = json.loads(path.read_text())
    tables = tuple(text_table(**table) for table in fields.pop("tables"))
    claims = tuple(Claim(**claim) for claim in fields.pop("claims"))
    return Reproduction(**fields, tables=tables, claims=claims)


if __name__ == "__main__":
    main()
