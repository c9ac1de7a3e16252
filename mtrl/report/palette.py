"""Colours. Those of series are Okabe and Ito's, told apart with every common colour blindness; later ones change style.

Plots are drawn for light paper. Their SVGs on the page take the page's own colours, by these names, so that they follow
it into the dark.
"""

from typing import Literal

INK, GRID = "#1b1f24", "#dfe3e8"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)
LineStyle = Literal["-", "--", "-.", ":"]
STYLES: tuple[LineStyle, ...] = ("-", "--", "-.", ":")
DASHES = {"-": "none", "--": "6 3", "-.": "6 3 1.5 3", ":": "1.5 2.5"}
"""Of SVG."""
DARK = {
    INK: "#e6e9ed",
    GRID: "#39414b",
    "#0072b2": "#4ba3e3",
    "#d55e00": "#ff8a3d",
    "#009e73": "#2fc79b",
    "#cc79a7": "#e39ac2",
    "#e69f00": "#f0b429",
    "#56b4e9": "#8fd0f7",
}
"""What each is on a dark page."""


def variable(colour: str) -> str:
    """The name of a colour in the page's style sheet."""
    return f"--c-{colour.removeprefix('#')}"


def look(index: int) -> tuple[str, LineStyle]:
    """Colour and line style of the series with this number."""
    return COLOURS[index % len(COLOURS)], STYLES[index // len(COLOURS) % len(STYLES)]
