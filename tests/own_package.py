"""Packages as somebody else would write them, which can be imported until the test ends."""

import sys
from pathlib import Path

import pytest


def write_package(folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, **modules: str) -> None:
    """A package with modules of these texts."""
    (folder / package).mkdir()
    for name, text in {"__init__": "", **modules}.items():
        (folder / package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    for name in (package, *(f"{package}.{module}" for module in modules)):
        monkeypatch.setitem(sys.modules, name, None)  # what stands there is put back at the end
        del sys.modules[name]


def register(folder: Path, package: str, group: str, **paths: str) -> None:
    """What tells that it is installed, with entry points."""
    made = folder / f"{package}-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
    lines = [f"{name} = {path}" for name, path in paths.items()]
    (made / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
