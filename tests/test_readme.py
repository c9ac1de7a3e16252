"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest
import torch

from mtrl.agents.config import Config
from mtrl.aggregation import METHODS
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.arguments import parse_arguments

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run_example(word: str) -> dict:
    """The names that the example with this word leaves."""
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in code]
    names: dict = {}
    exec(example, names)
    return names


def test_the_environments():
    step = run_example("envs.make")["step"]
    assert step.next_obs.shape == (10, 4, 39)
    assert (step.episode_length == 3).all()


def test_the_training_loop():
    torch.manual_seed(0)
    names = run_example("NashMTL")
    assert (names["weights"] > 0).all()
    # The Nash direction is as long as there are tasks.
    square = sum((p.grad**2).sum() for p in names["trunk"].parameters())
    torch.testing.assert_close(square, torch.tensor(3.0))
    assert all(p.grad is not None for p in names["heads"].parameters())


def test_every_method_is_listed():
    assert set(METHODS) == set(re.findall(r"`(\w+)`", README.split("### Methods")[1].split("###")[0])) & set(METHODS)


def test_training_commands_are_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    commands = re.findall(r"^mtrl train (.*?)(?: +#.*)?$", README, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        parse_arguments(command.split(), Config, "")
    for command in re.findall(r"^mtrl supervised (.*?)(?: +#.*)?$", README, re.MULTILINE):
        parse_arguments(command.split(), SupervisedConfig, "")
    assert all((ROOT / script).is_file() for script in re.findall(r"^bash (\S+)", README, re.MULTILINE))


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("results/**/*.md")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_to_files_that_are_there(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_example_report_has_what_its_page_links():
    folder = ROOT / "results" / "example-report"
    targets = re.findall(r'href="([^"#:]+)"', (folder / "index.html").read_text(encoding="utf-8"))
    assert "headline.csv" in targets
    assert not [target for target in targets if not (folder / target).exists()]
