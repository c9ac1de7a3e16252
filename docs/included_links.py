"""Pages of the project as parts of pages here: their links lead to pages here, to sections, or to files."""

import os.path
import re
from pathlib import Path
from typing import Any

from myst_parser.slugs import github_slugify

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:]+)\)")


def link_here(app: Any, path: Path, parent: str, content: list[str]) -> None:
    """Rewrites the links of a page that is included, in place.

    Args:
        app: Sphinx's.
        path: of the page, relative to these pages.
        parent: that includes it.
        content: its one text.
    """

    def linked(link: re.Match[str]) -> str:
        words, target = link.groups()
        file = os.path.normpath(Path(app.srcdir) / path.parent / target)
        here = os.path.relpath(file, app.srcdir)
        if here.endswith(".md") and here.startswith(".."):  # a table of which the page has a section
            return f"[{words}](#{github_slugify(words)})"
        return f"[{words}]({here})" if os.path.isfile(file) else words

    content[0] = LINK.sub(linked, content[0])
