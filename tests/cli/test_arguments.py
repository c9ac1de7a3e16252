"""The arguments of `mtrl train`: what they make, and the one line for each that cannot be used."""

import re
from pathlib import Path

import pytest
import yaml

from mtrl import aggregation
from mtrl.agents.config import Config
from mtrl.cli.arguments import parse_arguments
from mtrl.cli.options import sections
from mtrl.cli.train_help import train_help
from mtrl.runs.errors import UserError

EXAMPLE = "configs/mt10/quick.yaml"


@pytest.fixture
def parse(tmp_path: Path):
    """`parse(text of the YAML file, *words)` gives the configuration."""

    def run(text: str, *words: str) -> Config:
        path = tmp_path / "x.yaml"
        path.write_text(text)
        return parse_arguments([str(path), *words], Config, EXAMPLE).config

    return run


def changed(config: Config) -> dict:
    """What differs from the defaults; a name and horizons of Meta-World that nobody gave are no change."""
    tree = config.model_dump(exclude_defaults=True)
    if tree.get("name") == "x":
        del tree["name"]
    for section, horizon in (("env", 200), ("evaluation", 500)):
        if tree.get(section, {}).get("horizon") == horizon:
            del tree[section]["horizon"]
    return {name: value for name, value in tree.items() if value != {}}


def test_an_empty_file_gives_the_defaults(parse) -> None:
    assert parse("") == Config(name="x")


@pytest.mark.parametrize(
    ("file", "words", "name"),
    [
        ("own tasks.v2.yaml", "", "own_tasks.v2"),
        ("-a.yaml", "", "_a"),
        ("own.yaml", "--name other", "other"),
        ("named.yaml", "", "said"),
    ],
)
def test_a_run_is_called_after_its_file_if_nothing_names_it(tmp_path: Path, file: str, words: str, name: str) -> None:
    (tmp_path / file).write_text("name: said" if file == "named.yaml" else "steps: 5")
    assert parse_arguments([str(tmp_path / file), *words.split()], Config, EXAMPLE).config.name == name


def test_yaml_1_2_numbers(parse) -> None:
    config = parse("steps: 4e5\nagent: {learning_rate: 3e-3, target_entropy: -1e0, initial_temperature: .5}")
    assert (config.steps, config.agent.learning_rate) == (400_000, 3e-3)
    assert isinstance(config.steps, int)
    assert (config.agent.target_entropy, config.agent.initial_temperature) == (-1.0, 0.5)
    assert parse("steps: 400_000").steps == 400_000
    assert parse("steps: 0100").steps == 100


def test_lists(parse) -> None:
    config = parse("seeds: [0, 1]\nenv: {tasks: [reach-v3, push-v3]}")
    assert config.seeds == (0, 1)
    assert config.env.tasks == ("reach-v3", "push-v3")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--steps 400_000", {"steps": 400_000}),
        ("--steps 4e5", {"steps": 400_000}),
        ("--steps=7", {"steps": 7}),
        ("--steps 7 --steps 8", {"steps": 8}),
        ("--seeds 0 1 2", {"seeds": (0, 1, 2)}),
        ("--seeds 3", {"seeds": (3,)}),
        ("--seeds [0,2]", {"seeds": (0, 2)}),
        ("--name 007", {"name": "007"}),
        ("--out null", {"out": "null"}),
        ("--track", {"track": True}),
        ("--track --steps 3", {"track": True, "steps": 3}),
        ("--track true", {"track": True}),
        ("--track=true", {"track": True}),
        ("--track tensorboard --steps 3", {"track": "tensorboard", "steps": 3}),
        ("--training.compile true", {"training": {"compile": True}}),
        ("--env.tasks MT1:reach-v3", {"env": {"tasks": "MT1:reach-v3"}}),
        ("--env.tasks reach-v3 push-v3", {"env": {"tasks": ("reach-v3", "push-v3")}}),
        ("--env.tasks [reach-v3,push-v3]", {"env": {"tasks": ("reach-v3", "push-v3")}}),
        ("--env.backend envpool", {"env": {"backend": "envpool"}}),
        ("--agent.critic.width 512", {"agent": {"critic": {"width": 512}}}),
        ("--agent.target_entropy -3e-1", {"agent": {"target_entropy": -0.3}}),
        ("--agent.max_grad_norm 1", {"agent": {"max_grad_norm": 1.0}}),
        ("--method.name cagrad --method.c 0.4", {"method": {"name": "cagrad", "c": 0.4}}),
        ("--method.c 0.4 --method.name cagrad", {"method": {"name": "cagrad", "c": 0.4}}),
        ("--method.name pcgrad --method.seed 1e1", {"method": {"name": "pcgrad", "seed": 10}}),
    ],
)
def test_options(parse, words: str, expected: dict) -> None:
    assert changed(parse("", *words.split())) == expected


def test_an_option_overrides_its_field_alone(parse) -> None:
    text = "steps: 5\nagent: {critic: {width: 8, depth: 3}}"
    config = parse(text, "--agent.critic.width", "16")
    assert changed(config) == {"steps": 5, "agent": {"critic": {"width": 16, "depth": 3}}}


def test_null_overrides_a_number(parse) -> None:
    config = parse("agent: {max_grad_norm: 1.0}", "--agent.max_grad_norm", "null")
    assert config.agent.max_grad_norm is None


def test_another_method_drops_the_hyperparameters_of_the_file(parse) -> None:
    text = "method: {name: cagrad, c: 0.4}"

    def method(*words: str) -> dict:
        return parse(text, *words).method.model_dump(exclude_defaults=True)

    assert method("--method.name", "mgda") == {"name": "mgda"}
    assert method("--method.name", "cagrad") == {"name": "cagrad", "c": 0.4}
    assert method("--method.c", "0.2") == {"name": "cagrad", "c": 0.2}


def test_resume(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("")
    assert parse_arguments(["--resume", str(path)], Config, EXAMPLE).resume
    assert parse_arguments([str(path), "--steps", "3", "--resume"], Config, EXAMPLE).resume
    assert not parse_arguments([str(path)], Config, EXAMPLE).resume


@pytest.mark.parametrize("name", aggregation.METHODS)
def test_a_saved_configuration_is_a_valid_input(parse, name: str) -> None:
    words = [
        "--method.name",
        name,
        "--seeds",
        "1",
        "2",
        "--agent.learning_rate",
        "1e-5",
        "--env.tasks",
        "a",
        "b",
    ]
    config = parse("", *words)
    saved = yaml.safe_dump(config.model_dump(mode="json"))
    assert parse(saved) == config


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        # unknown keys
        ("agnet: {}", "", "{path}: agnet: unknown key; did you mean agent?"),
        (
            "agent: {critic: {widht: 3}}",
            "",
            "{path}: agent.critic.widht: unknown key; did you mean agent.critic.width?",
        ),
        ("zzz: 1", "", "{path}: zzz: unknown key"),
        ("1: 2", "", "{path}: 1: unknown key"),
        ("", "--stepz 1", "--stepz: unknown option; did you mean --steps?"),
        ("", "--seed 1", "--seed: unknown option; did you mean --seeds?"),
        ("", "--method pcgrad", "--method: unknown option; did you mean --method.name?"),
        (
            "",
            "--width 1",
            "--width: unknown option; did you mean --agent.actor.width or --agent.critic.width?",
        ),
        # wrong types
        ("steps: many", "", "{path}: steps must be a valid integer, got 'many'"),
        ("steps: 1.5", "", "{path}: steps must be a valid integer, got 1.5"),
        ("track: yes", "", "{path}: track must be true, false, wandb, tensorboard, csv or mlflow, got 'yes'"),
        ("track: 1", "", "{path}: track must be true, false, wandb, tensorboard, csv or mlflow, got 1"),
        ("agent: 3", "", "{path}: agent must be a section of keys, got 3"),
        ("agent: 3", "--agent.critic.width 3", "{path}: agent must be a section of keys, got 3"),
        ("env: {tasks: [1, 2]}", "", "{path}: env.tasks[0] must be a valid string, got 1"),
        ("seeds: [0, a]", "", "{path}: seeds[1] must be a valid integer, got 'a'"),
        ("", "--steps many", "--steps must be a valid integer, got 'many'"),
        ("", "--seeds 0 1.5", "--seeds[1] must be a valid integer, got 1.5"),
        # values out of range
        ("agent: {discount: 1.5}", "", "{path}: agent.discount must be less than 1, got 1.5"),
        ("agent: {discount: .nan}", "", "{path}: agent.discount must be a finite number, got nan"),
        ("seeds: [0, -1]", "", "{path}: seeds[1] must be greater than or equal to 0, got -1"),
        ("seeds: []", "", "{path}: seeds must have at least 1 item after validation, not 0, got []"),
        ("env: {backend: isaac}", "", "{path}: env.backend must be 'metaworld' or 'envpool', got 'isaac'"),
        ("", "--steps 0", "--steps must be greater than 0, got 0"),
        ("", "--agent.critic.width -1", "--agent.critic.width must be greater than 0, got -1"),
        # words that are missing or too many
        ("", "--steps", "--steps needs a value (INT)"),
        ("", "other.yaml", "one configuration file is needed, got {path} other.yaml"),
        ("", "--training.compile False", "--training.compile must be true or false, got 'False'"),
        ("", "--training.compile 0 --steps 5", "--training.compile must be true or false, got '0'"),
        ("", "--track none", "--track must be true or false or wandb or tensorboard or csv or mlflow, got 'none'"),
        ("", "--seeds=0 1", "--seeds=0 is all of its values: several are given as --seeds 0 1"),
        ("", "--steps 5 6", "--steps takes one value, got '6' after 5"),
        ("", "-steps 5", "-steps: an option begins with two dashes; did you mean --steps?"),
        # no YAML
        ("a: [1", "", "{path}: invalid YAML: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        ("steps: 1\nsteps: 2", "", "{path}: invalid YAML: line 2, column 1: steps is there twice"),
        ("- 1", "", "{path} must be a mapping of keys, got list"),
    ],
)
def test_bad_input_is_one_line(parse, tmp_path: Path, text: str, words: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, *words.split())
    assert str(caught.value) == line.format(path=tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("text", "words", "parts"),
    [
        ("method: {name: nash}", "", ["x.yaml: method: unknown method 'nash'", "nash_mtl"]),
        ("method: {name: cagrad, c: 4}", "", ["x.yaml: method: ", "c=4"]),
        ("method: {name: mgda, c: 0.4}", "", ["x.yaml: method: ", "mgda", "'c'"]),
        ("", "--method.name cagard", ["'cagard'", "'cagrad'"]),
        ("", "--method.name mgda --method.c 0.4", ["method: ", "mgda", "'c'"]),
    ],
)
def test_bad_methods_are_one_line(parse, text: str, words: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, *words.split())
    line = str(caught.value)
    assert "\n" not in line
    assert text or line.startswith("method: ")  # the file is not to blame
    for part in parts:
        assert part in line


def test_an_option_changes_one_of_two_sections_that_a_file_says_once(parse) -> None:
    config = parse("agent: {actor: &net {width: 8}, critic: *net}", "--agent.critic.width", "16")
    assert (config.agent.actor.width, config.agent.critic.width) == (8, 16)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: No such file or directory"):
        parse_arguments([str(tmp_path / "none.yaml")], Config, EXAMPLE)
    with pytest.raises(UserError, match=r"one configuration file is needed, e\.g\. configs/mt10/quick\.yaml"):
        parse_arguments(["--steps", "3"], Config, EXAMPLE)


def test_help_lists_every_field() -> None:
    text = train_help("mtrl train", "Train.", Config)
    words = " ".join(text.split())
    options = [option for section in sections(Config) for option in section.options]
    assert {"steps", "agent.critic.width", "env.tasks", "method.name"} <= {option.key for option in options}
    for option in options:
        assert f"--{option.key} " in text
        assert option.doc
        assert " ".join(option.doc.split()) in words
    # The critic's own default, not that of its class.
    assert re.search(r"--agent\.critic\.width INT Units of each hidden layer[^\[]*\[384\]", words)
    for name in aggregation.METHODS:
        assert f"{name}: " in text
        for parameter in aggregation.hyperparameters(name):
            assert f"--method.{parameter} " in text
