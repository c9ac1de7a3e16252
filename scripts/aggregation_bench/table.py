"""What was measured as Markdown."""

from collections.abc import Callable, Sequence

from mtrl.aggregation import METHODS
from mtrl.report.table import markdown
from scripts.aggregation_bench.error import EQUAL_PROJECTIONS
from scripts.aggregation_bench.measure import Cell
from scripts.machine import machine_line


def document(cells: Sequence[Cell], tasks: Sequence[int], batch: int, peers: set[str], devices: Sequence[str]) -> str:
    """A table per number of tasks, what was raised or warned of, and the machine."""
    parts = [
        "Milliseconds per matrix on one core, `independent / spread`; error: the method's optimality condition, the "
        f"spread of projections that should be equal ({', '.join(EQUAL_PROJECTIONS)}), else the distance from our "
        "update. `*` warns, see below.",
    ]
    parts += [table([cell for cell in cells if cell.tasks == T], T, batch, peers, devices) for T in tasks]
    parts += ["\n".join(troubles(cells))] if troubles(cells) else []
    parts.append(machine_line(peers, devices))
    return "\n\n".join(parts)


def table(cells: Sequence[Cell], tasks: int, batch: int, peers: set[str], devices: Sequence[str]) -> str:
    """Markdown; a pair in a cell is `independent / spread`."""
    head = ["method"]
    for device in devices:
        prefix = "" if device == "cpu" else f"{device.upper()}, "
        head += [f"{prefix}ms", f"{prefix}ms in a batch of {batch}", f"{prefix}error"]
    if "torchjd" in peers:
        head += ["TorchJD, ms", "times ours", "TorchJD, error"]
    rows = [row(name, cells, batch, peers, devices) for name in METHODS]
    if "cvxpy" in peers:
        paper = select(cells, "nash_mtl", "cvxpy")
        found = ["nash_mtl by cvxpy", pair(milliseconds, paper), "–", pair(shown_error, paper)]
        rows.append(found + ["–"] * (len(head) - len(found)))
    lines = [f"T = {tasks}", "", markdown(head, rows)]
    if "cvxpy" in peers:
        lines += ["", f"Nash by cvxpy takes {ratios(paper, select(cells, 'nash_mtl', 'ours'))} times as long as ours."]
    return "\n".join(lines)


def row(name: str, cells: Sequence[Cell], batch: int, peers: set[str], devices: Sequence[str]) -> list[str]:
    """The cells of a method as they are shown."""
    entries = [name]
    for device in devices:
        single, together = (select(cells, name, "ours", device, batched) for batched in (False, True))
        smaller = sorted({f" (of {cell.batch})" for cell in together if cell.batch != batch})
        entries += [pair(milliseconds, single), pair(milliseconds, together) + "".join(smaller)]
        entries += [pair(shown_error, single)]
    if "torchjd" in peers:
        theirs = select(cells, name, "torchjd")
        entries += [pair(milliseconds, theirs), ratios(theirs, select(cells, name, "ours")), pair(shown_error, theirs)]
    return entries


def select(cells: Sequence[Cell], method: str, who: str, device: str = "cpu", batched: bool = False) -> list[Cell]:
    """A solver's cells, family by family; empty if it was not run."""
    return [
        cell
        for cell in cells
        if (cell.method, cell.who, cell.device, cell.batch is not None) == (method, who, device, batched)
    ]


def pair(show: Callable[[Cell], str], cells: Sequence[Cell]) -> str:
    """What is shown of each cell, or one dash if there is nothing."""
    shown = [show(cell) for cell in cells]
    return "–" if set(shown) <= {"–"} else " / ".join(shown)


def milliseconds(cell: Cell) -> str:
    """The time of a cell; a star says that something was warned of."""
    if cell.ms is None:
        return "raises"
    return f"{cell.ms:.3g}" + ("*" if cell.trouble else "")


def shown_error(cell: Cell) -> str:
    """The error of a cell: one digit and a power of ten."""
    return "–" if cell.error is None else f"{cell.error:.0e}".replace("e-0", "e-").replace("e+0", "e")


def ratios(theirs: Sequence[Cell], mine: Sequence[Cell]) -> str:
    """Times that they take as long as we do, family by family."""
    times = [(a.ms, b.ms) for a, b in zip(theirs, mine, strict=False)]
    shown = [f"{a / b:.3g}" if a and b else "–" for a, b in times]
    return "–" if set(shown) <= {"–"} else " / ".join(shown)


def troubles(cells: Sequence[Cell]) -> list[str]:
    """A line for each thing raised or warned of."""
    lines: dict[str, list[str]] = {}
    for cell in cells:
        for trouble in cell.trouble:
            where = f"T = {cell.tasks}, {cell.family}" + ("" if cell.batch is None else ", batched")
            lines.setdefault(f"{cell.who} {cell.method} {trouble}", []).append(where)
    return [f"- {what} ({'; '.join(where)})" for what, where in lines.items()]
