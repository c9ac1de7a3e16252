"""Methods that are not ours, by name: `package.module:Class`, or what a package registers as an entry point.

A package adds a method under a name of its own by a line in its `pyproject.toml`:

    [project.entry-points."mtrl.methods"]
    my_method = "my_package.my_module:MyMethod"
"""

import inspect

from mtrl import own_class
from mtrl.aggregation.gradient_method import CoordinateMethod
from mtrl.aggregation.method import Method

GROUP = "mtrl.methods"
"""The group of entry points."""
AnyKind = type[Method] | type[CoordinateMethod]


def imported(path: str, name: str) -> AnyKind:
    """The class of a method that `package.module:Class` means.

    Args:
        path: of the class.
        name: by which it was asked for, for the message.

    Raises:
        ValueError: as for `own_class.imported`, or it is no class of a method; one line.
    """
    kind = own_class.imported(path, name, "method")
    if not (isinstance(kind, type) and issubclass(kind, Method | CoordinateMethod)):
        raise ValueError(f"method {name!r} must be a subclass of Method, LossMethod or CoordinateMethod, got {kind!r}")
    if inspect.isabstract(kind):
        raise ValueError(f"method {name!r} does not implement {', '.join(sorted(kind.__abstractmethods__))}")
    return kind
