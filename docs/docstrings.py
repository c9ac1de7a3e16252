"""Our docstrings, which are Markdown with Google's sections, as the reStructuredText that Sphinx reads."""

import importlib
import re
from typing import Any

PACKAGES = (
    "mtrl.aggregation",
    "mtrl.gradients",
    "mtrl.conflict",
    "mtrl.distributed",
    "mtrl.statistics",
    "mtrl.agents",
    "mtrl.envs",
    "mtrl.envs.views",
    "mtrl.supervised",
    "mtrl.benchmarks",
    "mtrl.report",
)
"""Each has a page in `api/`."""
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
COLON = "\ue000"
"""Stands for a colon while napoleon reads: it takes what is before one for a type, in attributes and results."""
SPAN = re.compile(r"`([^`]+)`(?=(\w?))")


class Docstrings:
    """What Sphinx calls for each docstring: code spans become literals or links, indented paragraphs blocks of code."""

    def __init__(self) -> None:
        self.targets = known_names()

    def __call__(self, app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
        """Changes the lines in place."""
        own = {name.rpartition(".")[2], *(dir(thing) if what == "class" else ())}
        hide_colons(what, lines)
        parts: list[str] = []
        for is_code, block in blocks(lines):
            if is_code:
                parts += [".. code-block:: python", "", *block]
            else:
                parts += self.prose("\n".join(block), own).split("\n")
        lines[:] = parts

    def prose(self, text: str, own: set[str]) -> str:
        """Text with its code spans converted, and nothing else in it taken for markup.

        Args:
            text: Markdown.
            own: names of what it is about and of that one's members, which mean these.
        """
        parts, at = [], 0
        for span in SPAN.finditer(text):
            parts += [plain(text[at : span.start()]), self.span(span[1], own), "\\ " if span[2] else ""]
            at = span.end()
        return "".join([*parts, plain(text[at:])])

    def span(self, code: str, own: set[str]) -> str:
        """A link if it names something public, else a literal."""
        name = code.removesuffix("()")
        if name not in own and name in self.targets:
            return f":py:obj:`~{self.targets[name]}`"
        return f"``{code}``"


def hide_colons(what: str, lines: list[str]) -> None:
    """Replaces the colons that napoleon would misread."""
    section = "Returns" if what in ("attribute", "data", "property") else ""
    for at, line in enumerate(lines):
        if found := SECTION.match(line):
            section = found[1]
        elif section in ("Returns", "Yields"):
            lines[at] = line.replace(":", COLON)


def show_colons(app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Puts them back, in place."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def blocks(lines: list[str]) -> list[tuple[bool, list[str]]]:
    """Stretches of lines, and whether each is code: a paragraph before the sections that is indented by four."""
    made: list[tuple[bool, list[str]]] = [(False, [])]
    after_blank, in_prose = True, True
    for line in lines:
        in_prose = in_prose and not SECTION.match(line)
        in_code = made[-1][0]
        is_code = in_prose and (line.startswith("    ") if line.strip() else in_code) and (in_code or after_blank)
        if is_code != in_code:
            made.append((is_code, []))
        made[-1][1].append(line)
        after_blank = not line.strip()
    return made


def plain(text: str) -> str:
    """What reStructuredText would take for markup, escaped: bars, and underscores at the end of words."""
    return re.sub(r"(\||(?<=\w)_(?!\w))", r"\\\1", text)


def known_names() -> dict[str, str]:
    """What the pages of the reference have, by the names that docstrings call it."""
    known: dict[str, str] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == package]
        for name in getattr(module, "__all__", own):
            known[f"{package}.{name}"] = f"{package}.{name}"
            known.setdefault(name, f"{package}.{name}")
    return known
