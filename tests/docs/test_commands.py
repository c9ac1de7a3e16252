"""Commands on the pages are ones that can be typed: their options exist."""

import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mtrl.agents.config import Config
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli import main
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.one_line_parser import OneLineParser
from mtrl.extras import DISTRIBUTION
from tests.docs.pages import PAGES, RESULTS, ROOT, code, commands, name_of

TYPED = [(page, command) for page in PAGES for command in commands(page)]
TYPED += [
    (page, command)
    for page in RESULTS
    for command in commands(page, language="")
    if command.startswith(("mtrl ", "bash ", "python -m ")) and "$" not in command
]


class ParsedError(Exception):
    """The words of a command were understood."""


def check_mtrl(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if len(words) == 1 or words[-1] == "--help":
        assert words[0] in ("--help", *main.COMMANDS)
        return
    kinds: dict[str, type[Config | SupervisedConfig]] = {"train": Config, "supervised": SupervisedConfig}
    if kind := kinds.get(words[0]):
        parse_arguments(words[1:], kind, "")
        return

    def parse(parser: OneLineParser, given: Any = None) -> NoReturn:
        super(OneLineParser, parser).parse_args(given)
        raise ParsedError

    monkeypatch.setattr(OneLineParser, "parse_args", parse)
    with pytest.raises(ParsedError):
        importlib.import_module(f"mtrl.cli.{words[0]}").run(words[1:])


def check_script(script: str, words: list[str]) -> None:
    path = ROOT / script
    sources = {path, path.with_suffix(".py"), path.parent / "options.py"}
    text = "".join(source.read_text() for source in sources if source.is_file())
    assert path.is_file()
    for word in words:
        if word.startswith("--") and not script.endswith(("train.sh", "test.sh")):
            assert f'"{word.partition("=")[0]}"' in text, word


@pytest.mark.parametrize(("page", "command"), TYPED, ids=[f"{name_of(p)}: {c}"[:90] for p, c in TYPED])
def test_it_can_be_typed(page: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    match words:
        case ["mtrl", *rest]:
            check_mtrl(rest, monkeypatch)
        case ["bash", "scripts/train.sh", *rest]:
            check_script(words[1], [])
            parse_arguments(rest if rest and not rest[0].startswith("-") else ["mt10/quick", *rest], Config, "")
        case ["source", ".venv/bin/activate"] | ["pre-commit", "install"]:
            pass
        case ["pytest", *_]:
            pass
        case ["bash", script, *rest] if script.startswith("scripts/"):
            check_script(script, rest)
        case ["sbatch", *options] if "scripts/slurm_sweep.sh" in options:
            check_mtrl(["sweep", *options[options.index("scripts/slurm_sweep.sh") + 1 :]], monkeypatch)
        case ["torchrun", *rest] if "mtrl" in rest:
            check_mtrl(rest[rest.index("mtrl") + 1 :], monkeypatch)
        case ["torchrun", *rest] if "-m" in rest:
            module, *of_script = rest[rest.index("-m") + 1 :]
            check_script(module.replace(".", "/") + ".py", of_script)
        case ["python", "-m", "scripts.ablate", *rest] if rest:  # whose options are those of `mtrl sweep`
            check_mtrl(["sweep", "sweeps/mt10-ablations", *rest], monkeypatch)
        case ["python", "-m", module, *rest] if module.startswith("scripts."):
            check_script(module.replace(".", "/") + ".py", rest)
        case ["python", "-m", "pip", *_]:
            pass
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module)
        case ["pip", "install", "-e", what, *_] | ["pip", "install", what, *_]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            name, *named = re.findall(r"[\w.-]+", what)
            assert name in (".", DISTRIBUTION)
            assert set(named) <= extras.keys()
        case _:
            pytest.fail(f"{page}: {command}")


@pytest.mark.parametrize("page", [*PAGES, *RESULTS, *sorted(ROOT.glob("results/*/commands.txt"))], ids=name_of)
def test_a_script_is_called_as_a_module_but_at_the_commit_of_then(page: Path) -> None:
    assert re.findall(r"python scripts/(?![^`\n]*`, commit [0-9a-f])", page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_script_has_installed_is_put_on_the_path(page: Path) -> None:
    shown = code(page, "bash")
    if "\nbash scripts/train.sh" in shown and "\nmtrl " in shown:
        assert "source .venv/bin/activate" in page.read_text()


def test_there_are_some() -> None:
    assert {command.split()[0] for _, command in TYPED} >= {"mtrl", "bash", "python", "pip"}
    assert len(TYPED) > 30


def test_the_page_of_installation_has_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rows = [line.split("|")[1] for line in (ROOT / "docs/start/install.md").read_text().splitlines() if "|" in line]
    assert {extra for row in rows for extra in re.findall(r"`(\w+)`", row)} == extras.keys()
