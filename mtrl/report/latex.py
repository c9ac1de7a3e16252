"""Tables as LaTeX, with the rules of its package booktabs."""

from collections.abc import Sequence

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else the end of the line before it takes it for an argument
    "]": "{]}",
    "–": "--",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
"""Those that LaTeX would take for something else, or whose letters a plain document lacks."""
_SUMMARIES = ("mean", "(mean)")


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_CHARACTERS.get(character, character) for character in text)


def latex(name: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    r"""A `table` that a document with `\usepackage{booktabs}` takes by `\input`; the first column is text.

    Args:
        name: its label is `tab:<name>`.
        title: of the caption.
        header: of the columns.
        rows: of cells; a rule goes before the first that sums up the others.
        notes: sentences that follow the title in the caption.
    """
    body: list[str] = []
    for row in rows:
        if row[0] in _SUMMARIES:
            body.append(r"    \midrule")
        body.append(_line(row))
    caption = " ".join([f"{escaped(title)}.", *map(escaped, notes)])
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption[{{{escaped(title)}}}]{{{caption}}}",
        rf"  \label{{tab:{name}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"    \toprule",
        _line(header),
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"    {' & '.join(map(escaped, cells))} \\\\"
