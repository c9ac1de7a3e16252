"""Any file and any option is a configuration or one line."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mtrl.agents import Config
from mtrl.agents.preflight import check, notes
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.options import Option, sections
from mtrl.runs import yaml_file
from mtrl.runs.errors import UserError
from mtrl.runs.folder import load_config, save_config
from mtrl.runs.section import RunConfig
from mtrl.runs.yaml_file import parse_yaml
from tests.fuzz.hostile import HOSTILE_TEXTS, at_once, damaged_bytes, damaged_tree, fuzz, numbers, one_line, trees
from tests.runs.small_runs import small, toy

KINDS: tuple[type[RunConfig], ...] = (Config, SupervisedConfig)


def parsed(folder: Path, content: bytes, words: list[str], kind: type[RunConfig]) -> RunConfig | None:
    """The configuration; None if it is refused in one line. What is accepted is saved and read as it is."""
    path = folder / "x.yaml"
    path.write_bytes(content)
    try:
        with at_once():
            config = parse_arguments([str(path), *words], kind, "x.yaml").config
    except UserError as error:
        one_line(error)
        return None
    save_config(folder, config, config.seeds[0])
    assert load_config(folder, kind) == config.of_seed(config.seeds[0])
    return config


def content(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


@fuzz(100, 5_000)
def test_files_of_bytes(folder: Path) -> None:
    text = yaml.safe_dump(content(small())).encode()

    @given(st.one_of(st.binary(max_size=40), damaged_bytes(text), st.sampled_from(HOSTILE_TEXTS).map(_bytes)))
    def holds(content: bytes) -> None:
        parsed(folder, content, [], Config)

    holds()


@fuzz(100, 5_000)
def test_files_of_other_values(folder: Path) -> None:
    @example({"\n": None}, Config)
    @example({"env": {"tasks": {"": "9" * 5_000}}}, Config)
    @given(st.one_of(trees, damaged_tree(content(small()))), st.sampled_from(KINDS))
    def holds(tree: Any, kind: type[RunConfig]) -> None:
        parsed(folder, yaml.dump(tree, allow_unicode=True).encode("utf-8", "surrogateescape"), [], kind)

    holds()


@fuzz(150, 10_000)
def test_texts_mean_the_same_with_and_without_the_parser_in_c(folder: Path) -> None:
    pieces = "a|1|- |-\n|: |:|:\n|,|, |[|]|{|}|\n|\n  | |\"|'|#| #|---|\n---\n|...|1e5|a: b|\n- x|''|\t|!|?|> |&a|*a"
    text = yaml.safe_dump(content(small())).encode()

    def read(written: str) -> str:
        try:
            return repr(parse_yaml(written))
        except ValueError as error:
            return str(error)

    @given(st.one_of(st.lists(st.sampled_from(pieces.split("|"))).map("".join), damaged_bytes(text).map(_text)))
    def holds(written: str) -> None:
        with pytest.MonkeyPatch.context() as patched:
            quickly = read(written)
            patched.setattr(yaml_file, "_PLAIN", re.compile("(?!)"))
            assert quickly == read(written)

    holds()


@fuzz(150, 10_000)
def test_options(folder: Path) -> None:
    @given(st.data(), st.sampled_from(KINDS), st.one_of(st.sampled_from(HOSTILE_TEXTS), numbers.map(str)))
    def holds(data: st.DataObject, kind: type[RunConfig], value: str) -> None:
        option = data.draw(st.sampled_from(options(kind)))
        parsed(folder, b"", [f"--{option.key}={value}"], kind)

    holds()


@fuzz(60, 3_000)
def test_numbers_that_are_accepted_can_be_trained_or_are_refused_at_once(folder: Path) -> None:
    numeric = [option for option in options(Config) if {int, float} & set(option.types)]
    start = yaml.safe_dump(content(small())).encode()

    @given(st.sampled_from(numeric), numbers)
    def holds(option: Option, value: float) -> None:
        config = parsed(folder, start, [f"--{option.key}={value}"], Config)
        if isinstance(config, Config):
            try:
                with at_once():
                    check(config, 1)
                    notes(config)
            except UserError as error:
                one_line(error)

    holds()


@pytest.mark.parametrize("value", ["9" * 5_000, "9 " * 2_500])
@pytest.mark.parametrize("key", ["method.name", "name", "agent.actor.width"])
def test_a_value_of_any_length_is_refused_in_a_line(key: str, value: str, tmp_path: Path) -> None:
    assert parsed(tmp_path, b"", [f"--{key}={value}"], Config) is None
    for name in reversed(key.split(".")):
        value = {name: value}  # type: ignore[assignment]
    assert parsed(tmp_path, yaml.dump(value).encode(), [], Config) is None


@cache
def options(kind: type[RunConfig]) -> tuple[Option, ...]:
    return tuple(option for section in sections(kind) for option in section.with_choices())


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def test_what_is_tried_begins_valid(tmp_path: Path) -> None:
    assert parsed(tmp_path, yaml.safe_dump(content(small())).encode(), [], Config) == small()
    assert parsed(tmp_path, yaml.safe_dump(content(toy())).encode(), [], SupervisedConfig) == toy()
