"""The configurations that come with the package, called by name: `mt10/quick`."""

import difflib
from pathlib import Path

from mtrl.runs.errors import UserError

FOLDER = Path(__file__).parents[1] / "configs"


def shipped() -> dict[str, Path]:
    """The files by name, in the order of their names."""
    files = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in FOLDER.glob("*/*.yaml")}
    return dict(sorted(files.items()))


def find(word: str | Path) -> Path:
    """The configuration file that a word means: a path that exists, else one that comes with the package.

    Args:
        word: a path, or a name like `mt10/quick`.

    Raises:
        UserError: it is neither; the closest name is told. A word with the ending of a file is taken for a path.
    """
    path = Path(word)
    if path.exists() or path.suffix:
        return path
    return one_of_ours(str(word))


def one_of_ours(name: str) -> Path:
    """The file of that name that comes with the package.

    Raises:
        UserError: there is none; the closest name is told.
    """
    files = shipped()
    if name not in files:
        close = [ours for ours in files if Path(ours).name == name] or difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {' or '.join(close)}?" if close else "`mtrl configs` lists them"
        raise UserError(f"{name} is neither a file nor a configuration that comes with mtrl; {hint}")
    return files[name]


def what_it_is(path: Path) -> str:
    """The line that a configuration begins with."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ")
