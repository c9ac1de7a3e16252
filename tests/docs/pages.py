"""The pages that people read, and the code that they show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
RESULTS = sorted(ROOT.glob("results/**/*.md"))


def name_of(page: Path) -> str:
    """Relative to the project."""
    return page.relative_to(ROOT).as_posix()


def code(page: Path, language: str) -> str:
    """All its blocks in a language, those in lists too, as one program whose lines are those of the page."""
    kept = []
    fence: str | None = None
    for line in page.read_text(encoding="utf-8").split("\n"):
        is_fence = line.lstrip().startswith("```")
        if is_fence:
            fence = line.strip() if fence is None else None
        kept.append(line if fence == f"```{language}" and not is_fence else "")
    return "\n".join(kept)


def files_of(page: Path) -> dict[str, str]:
    """The blocks of Python that are said to stand in a file, by its name."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r"in a file `(\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL))


def commands(page: Path, language: str = "bash") -> list[str]:
    """Lines of its blocks in a language, and commands in its text that can be typed as they are there."""
    text = page.read_text(encoding="utf-8")
    typed = [line.partition(" #")[0].strip() for line in code(page, language).split("\n")]
    spoken = re.findall(r"`((?:mtrl|bash|python|pip) [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    spoken = [" ".join(words.split()) for words in spoken]
    return [line for line in [*typed, *spoken] if line and not re.search(r"\b[A-Z]{2,}\b|\.\.\.|[{}]|-- ", line)]
