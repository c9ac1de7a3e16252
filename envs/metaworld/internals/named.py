"""MuJoCo's named access, looked up once.

`data.body("hand").xpos` searches the name and wraps the array on every call, 2 us each. The arrays are windows
on simulator memory that stay where they are, so the first look-up serves for good.
"""

from typing import Any, final


@final
class Named:
    """One body, geom, site or joint; its arrays are live."""

    def __init__(self, accessor: Any) -> None:
        vars(self)["_accessor"] = accessor

    def __getattr__(self, name: str) -> Any:
        value = getattr(vars(self)["_accessor"], name)
        vars(self)[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} is read-only here: write to the simulator's own arrays")


@final
class NamedAccess:
    """An `MjModel` or `MjData` as metaworld's rewards read it; all but the four kinds is passed on."""

    def __init__(self, of: Any) -> None:
        self._of = of
        self._known: dict[tuple[str, Any], Named] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def body(self, name: Any) -> Named:
        """The body of this name, looked up once."""
        return self._find("body", name)

    def geom(self, name: Any) -> Named:
        """The geom of this name, looked up once."""
        return self._find("geom", name)

    def site(self, name: Any) -> Named:
        """The site of this name, looked up once."""
        return self._find("site", name)

    def joint(self, name: Any) -> Named:
        """The joint of this name, looked up once."""
        return self._find("joint", name)

    def _find(self, kind: str, name: Any) -> Named:
        known = self._known.get((kind, name))
        if known is None:
            known = self._known[kind, name] = Named(getattr(self._of, kind)(name))
        return known
