"""A page of results: tables, claims and how they fared, the commands, the machine; as Markdown, CSV and JSON."""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtrl.report.table import Table, markdown
from mtrl.runs.events import Start
from mtrl.runs.metrics_file import read_events
from scripts.machine import command

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


def starts(run: Path) -> tuple[Start, ...]:
    """What a run says of where it was made, each time that it was begun or went on."""
    return tuple(event for event in read_events(run / "metrics.jsonl") if event["kind"] == "start")


def machine(starts: Iterable[Start], packages: Sequence[str] = (), hidden: Path | None = None) -> str:
    """Where and when runs were made, and the command that this page is made by.

    Args:
        starts: of all the runs, see the function of this name.
        packages: whose versions are shown beside torch's.
        hidden: the user's folder of data.
    """
    found = list(starts)

    def said(values: Iterable[str]) -> list[str]:
        distinct = sorted(set(values))
        return [" and ".join(distinct)] if distinct else []

    made_on = said(start["hardware"] for start in found)
    made_on += said(f"{start['threads']} thread" + "s" * (start["threads"] > 1) for start in found)
    for name in ("torch", *packages):
        made_on += said(f"{name} {start['versions'][name]}" for start in found if name in start["versions"])
    days = sorted({start["time"][:10] for start in found})
    dated = [" to ".join(dict.fromkeys((days[0], days[-1])))] if days else []
    commits = (commit for start in found if (commit := start["git_commit"]))
    dated += [f"commit {text}" for text in said(commit[:7] + "+changes" * ("+" in commit) for commit in commits)]
    line = "; ".join([*filter(None, (", ".join(made_on), ", ".join(dated))), f"`{command()}`"])
    return shown(line, hidden)


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
