"""A page of results: tables, claims and how they fared, the commands, the machine; as Markdown, CSV and JSON."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl.report.table import Table, markdown
from scripts.machine import machine_line
from scripts.reproduce.options import ROOT

PUBLISHED = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Claim:
    """Something that the paper says."""

    text: str
    verdict: str
    """See `compare`."""
    evidence: str = ""
    """Our numbers."""


@dataclass(frozen=True)
class Reproduction:
    """One table or figure of a paper."""

    title: str
    made_of: str
    """Data, size, seeds."""
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...]
    reasons: tuple[str, ...]
    """Why numbers differ from the published ones."""
    records: tuple[Mapping[str, Any], ...]
    """A row per run: `method`, `seed`, `values` by name, and what else is known."""
    commands: tuple[str, ...]
    machine: str
    pictures: tuple[str, ...] = ("plot.png",)
    sweeps: Mapping[str, str] = field(default_factory=dict)
    """Files that `commands` speak of, by name."""
    missing: tuple[str, ...] = ()
    """Runs that are not finished."""


def write(page: Reproduction, folder: Path) -> None:
    """`table.md`, `table.csv`, `rows.json`, `commands.txt` and the sweeps' files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(f"# {text(page)}")
    (folder / "table.csv").write_text(_csv(page.records))
    (folder / "rows.json").write_text(json.dumps(_plain(page), indent=1) + "\n")
    (folder / "commands.txt").write_text("\n".join(page.commands) + "\n")
    for name, sweep in page.sweeps.items():
        (folder / f"{name}.yaml").write_text(sweep)


def text(page: Reproduction, prefix: str = "", level: int = 1) -> str:
    """Markdown, without the `#` of the title.

    Args:
        page: what to write.
        prefix: of links to its files.
        level: of its title.
    """
    parts = [page.title, page.made_of]
    if page.missing:
        parts.append(f"**Not finished: {'; '.join(page.missing)}.**")
    for table in page.tables:
        parts += [*([f"**{table.title}**"] if table.title else []), markdown(table.header, table.texts)]
    parts += [f"![{page.title}]({prefix}{name})" for name in page.pictures]
    if page.claims:
        head = "#" * (level + 1)
        rows = [(claim.text, claim.verdict, claim.evidence) for claim in page.claims]
        parts += [f"{head} What the paper says, and what these runs say", markdown(("claim", "here", "numbers"), rows)]
    if page.reasons:
        parts += ["#" * (level + 1) + " Why numbers differ", "\n".join(f"- {reason}" for reason in page.reasons)]
    files = "".join(f", [`{name}.yaml`]({prefix}{name}.yaml)" for name in page.sweeps)
    parts.append(f"{page.machine}. Every command: [`commands.txt`]({prefix}commands.txt){files}.")
    return "\n\n".join(parts) + "\n"


def machine(threads: int, packages: Sequence[str] = (), hidden: Path | None = None) -> str:
    """`machine_line` of runs with so many threads each, and the commit; `hidden` is the user's folder of data."""
    torch.set_num_threads(threads)
    line = machine_line(packages, ["cuda"] if torch.cuda.is_available() else [])
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    commit = f", commit {done.stdout.strip()}" if done.returncode == 0 else ""
    return shown(line, hidden) + commit


def shown(command: str, hidden: Path | None) -> str:
    """A command without the place of the user's data."""
    return command if hidden is None else command.replace(str(hidden), "DATA")


def published(name: str) -> tuple[dict[str, dict[str, str]], str]:
    """Rows of a published table, as printed, by their first column (mostly the method), and where they are from."""
    with (PUBLISHED / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(iter(rows[0]))
    sources = dict.fromkeys(source for row in rows for source in row.pop("source").split("; "))
    return {row[first]: row for row in rows}, "; ".join(sources)


def verdict(text: str, holds: bool, evidence: str) -> Claim:
    """A claim that is plainly true of our numbers or not."""
    return Claim(text, "holds" if holds else "does not hold", evidence)


def compare(better: Sequence[float], worse: Sequence[float], higher: bool = True) -> str:
    """Whether the seeds of the first are better than those of the second, in words."""
    if not len(better) or not len(worse):
        return "not run"
    sign = 1 if higher else -1
    ours, theirs = sign * np.asarray(better, float), sign * np.asarray(worse, float)
    holds = ours.mean() > theirs.mean()
    apart = ours.min() > theirs.max() if holds else ours.max() < theirs.min()
    word = "holds" if holds else "does not hold"
    if min(len(ours), len(theirs)) == 1:
        return f"{word} (of one of them there is one seed)"
    return word if apart else f"{word} on average, within the spread of the seeds"


def _plain(page: Reproduction) -> dict[str, Any]:
    """The page as JSON; tables as the arguments of `text_table`."""
    tables = [{"title": table.title, "header": table.header, "rows": table.texts} for table in page.tables]
    return dataclasses.asdict(page) | {"tables": tables}


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "seed", "name", "value"])
    for record in records:
        writer.writerows([record["method"], record["seed"], name, x] for name, x in record["values"].items())
    return out.getvalue()


def finish(status: int, folder: Path) -> None:
    """Ends the script with this status."""
    print(f"results: {folder}" if folder.exists() else "no run is finished")
    sys.exit(status)
