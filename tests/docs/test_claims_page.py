"""The table of what each method promises is the one that the tests check.

`python -m tests.docs.test_claims_page` writes it anew.
"""

from mtrl.aggregation import METHODS, GradientMethod, LossMethod, Method
from tests.aggregation.test_claims import ROWS, Row
from tests.docs.pages import DOCS

PAGE = DOCS / "guide/methods.md"
BEGIN, END = "<!-- claims -->\n", "<!-- end of claims -->\n"
COLUMNS = {
    "order": "permutation_equivariance",
    "scale": "task_scale_invariance",
    "harmless": "non_conflict",
    "stops": "stationary_stays",
    "copies": "duplicate_ignored",
    "zeros": "zero_gradient_ignored",
}
LENGTHS = {1: "`s`", 0: "1", -1 / 3: "`s^(-1/3)`"}


def reads(method: type) -> str:
    if issubclass(method, GradientMethod):
        return "gradients"
    assert issubclass(method, Method | LossMethod)
    parts = ["Gram"] * (not issubclass(method, LossMethod)) + ["losses"] * method.needs_losses
    return ", ".join(parts) or "nothing"


def line(row: Row) -> str:
    has = ["yes" if name not in row.breaks | row.refuses else "–" for name in COLUMNS.values()]
    length = "–" if "homogeneity" in row.breaks else LENGTHS[row.degree]
    return " | ".join(["| `" + row.name + "`", reads(METHODS[row.name]), *has, length + " |"])


def table() -> str:
    header = ["method", "reads", *COLUMNS, "length"]
    ruler = ["---", "---", *[":---:" for _ in range(len(COLUMNS) + 1)]]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ruler)]
    return "\n".join(["", *lines, *map(line, sorted(ROWS, key=lambda row: row.name)), "", ""])


def test_the_page_has_the_tests_table() -> None:
    text = PAGE.read_text()
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert shown == table(), "python -m tests.docs.test_claims_page"


def test_every_method_is_on_the_page() -> None:
    text = PAGE.read_text()
    assert [name for name in METHODS if f"`{name}`" not in text] == []
    assert len(ROWS) == sum(issubclass(kind, Method) for kind in METHODS.values())


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
