"""What a hint says to install is there, and brings the package that is missing."""

import importlib
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import mtrl
from mtrl.extras import COMMANDS, DISTRIBUTION, PACKAGES, install_package
from scripts.offline_bundle import requirements

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
SOURCES = [path for folder in ("mtrl", "agents", "envs") for path in (ROOT / folder).rglob("*.py")]


def distribution(requirement: str) -> str:
    """Its name, as the index compares them."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def brought(extra: str) -> set[str]:
    """The distributions that an extra brings, its other extras' and those that these ask for."""
    found = set()
    for name in map(distribution, requirements(extra)):
        asked = importlib.metadata.requires(name) or []
        found |= {name} | {distribution(line) for line in asked if "extra ==" not in line}
    return found


@pytest.mark.parametrize(("package", "extra"), PACKAGES.items())
def test_an_extra_brings_the_packages_that_are_missing_without_it(package: str, extra: str) -> None:
    names = importlib.metadata.packages_distributions().get(package)
    if names is None:
        pytest.skip(f"{package} is not installed")
    assert {distribution(name) for name in names} & brought(extra)


def test_what_all_commands_need_comes_with_the_rest_of_what_one_needs() -> None:
    assert install_package("rich", "supervised") == "pip install 'mtrl-torch[supervised]'"
    assert install_package("rich", "train") == "pip install 'mtrl-torch[rl]'"
    assert install_package("gymnasium", "supervised") == "pip install 'mtrl-torch[rl]'"
    assert install_package("my_tasks", "train") is None
    for extra in {"rl", *COMMANDS.values()}:
        assert brought(extra) >= brought("report")


def test_every_hint_names_this_distribution_and_one_of_its_extras() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    texts = {path: path.read_text() for path in SOURCES}
    named = {name for text in texts.values() for name in re.findall(r"\binstall\(['\"](\w+)['\"]\)", text)}
    assert {"rl", "export", "video", "track"} <= named <= set(EXTRAS)
    assert set(PACKAGES.values()) | set(COMMANDS.values()) <= set(EXTRAS)
    assert [path.name for path, text in texts.items() if "pip install" in text] == ["extras.py"]


def test_the_names_at_the_top() -> None:
    assert "backward" in dir(mtrl)
    assert mtrl.__version__ == importlib.import_module("mtrl.runs.versions").packages()["mtrl"]
