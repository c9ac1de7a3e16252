"""Classes and modules that are not ours, by name: `package.module:Class`, or what a package registers."""

import difflib
import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType


def registered(group: str) -> dict[str, EntryPoint]:
    """The entry points of installed packages by name; nothing of theirs is imported."""
    return {point.name: point for point in entry_points(group=group)}


def imported(path: str, name: str, what: str) -> object:
    """What `package.module:Class` means; whether it is a class is not looked at.

    Args:
        path: of the class.
        name: by which it was asked for, for the message.
        what: it is to be, likewise: `method`.

    Raises:
        ValueError: as for `module_of`, or there is no such name in it; one line.
    """
    module_name, _, class_name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), class_name]):
        raise ValueError(f"a {what} of one's own is package.module:Class, got {name!r}")
    module = module_of(module_name, name, what)
    kind = getattr(module, class_name, None)
    if kind is None:
        close = difflib.get_close_matches(class_name, vars(module), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"{what} {name!r}: {module_name} has no {class_name}{hint}")
    return kind


def module_of(path: str, name: str, what: str) -> ModuleType:
    """The module `package.module`, imported.

    Args:
        path: of the module.
        name: by which it was asked for, for the message.
        what: that name means, likewise: `method`.

    Raises:
        ValueError: no such module, or it fails when it is imported; one line.
    """
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or path
        raise ValueError(f"{what} {name!r}: there is no module {missing}{_beside(missing)}") from error
    except Exception as error:
        why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise ValueError(f"{what} {name!r}: {path} cannot be imported: {why}") from error


def _beside(module: str) -> str:
    """A hint, where the module lies in the folder that one stands in."""
    first = module.partition(".")[0]
    found = Path(f"{first}.py").is_file() or Path(first, "__init__.py").is_file()
    return "; PYTHONPATH=. finds it in this folder" if found else ""
