"""Trunks that are not ours, by name: `package.module:Class`, or what a package registers as an entry point.

A package adds a network under a name of its own by a line in its `pyproject.toml`:

    [project.entry-points."mtrl.networks"]
    my_trunk = "my_package.my_module:MyTrunk"
"""

import inspect
from collections.abc import Mapping
from typing import Any

from mtrl import own_class
from mtrl.aggregation.parameters import parameters

GROUP = "mtrl.networks"
"""The group of entry points."""
GIVEN = ("hidden", "num_inputs", "width", "depth")
"""What every constructor is given, by name; `num_experts` and `encoder_width` besides, where it has them."""
OPTIONAL = ("num_experts", "encoder_width")


def names() -> list[str]:
    """The names of the trunks that installed packages register."""
    return sorted(own_class.registered(GROUP))


def find(name: str) -> type:
    """The class of a trunk.

    Raises:
        ValueError: there is none, it cannot be imported, or is not what a trunk must be; one line.
    """
    points = own_class.registered(GROUP)
    kind = own_class.imported(points[name].value if name in points else name, name, "network")
    if not isinstance(kind, type):
        raise ValueError(f"network {name!r} must be a class, got {kind!r}")
    if lacks := [part for part in ("init", "__call__") if not any(part in vars(base) for base in kind.__mro__)]:
        raise ValueError(f"network {name!r} does not implement {', '.join(lacks)}")
    known = parameters(kind)
    if lacks := [argument for argument in GIVEN if argument not in known]:
        raise ValueError(f"network {name!r} must take {', '.join(GIVEN)}; its constructor has no {', '.join(lacks)}")
    for argument, parameter in known.items():
        if parameter.default is parameter.empty and argument not in GIVEN + OPTIONAL:
            raise ValueError(f"network {name!r} needs {argument}, for which the configuration has no field")
    return kind


def check_sizes(name: str, optional: Mapping[str, int | None]) -> None:
    """Refuses a size that a trunk's constructor does not have, and the lack of one that it must have.

    Args:
        name: see `find`.
        optional: see `make`.

    Raises:
        ValueError: as for `find`, or it is so; one line.
    """
    known = parameters(find(name))
    for argument, value in optional.items():
        if value is not None and argument not in known:
            raise ValueError(f"{name} has no {argument}, got {argument}={value}")
        if value is None and argument in known and known[argument].default is inspect.Parameter.empty:
            raise ValueError(f"{name} needs {argument}, which has no default")


def make(name: str, given: Mapping[str, Any], optional: Mapping[str, int | None]) -> Any:
    """A trunk of this name.

    Args:
        name: see `find`.
        given: values by the names of `GIVEN`.
        optional: values by the names of `OPTIONAL`; None for the constructor's own.
    """
    return find(name)(**given, **{argument: value for argument, value in optional.items() if value is not None})
