"""What the README shows works as it stands there."""

import re
from pathlib import Path

import torch

from mtrl.cli.arguments import parse_arguments

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_core_alone():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    torch.manual_seed(0)
    names: dict = {}
    exec(example, names)
    products = names["gram"] @ names["weights"]
    torch.testing.assert_close(names["weights"] * products, torch.ones(3))  # Nash: a_i (G a)_i = 1
    update = names["weights"] @ torch.stack(names["jacobian"])
    gradient = torch.cat([p.grad.flatten() for p in names["trunk"].parameters()])
    torch.testing.assert_close(gradient, update)


def test_training_commands_are_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    commands = re.findall(r"^mtrl train (.*?)(?: +#.*)?$", README, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        parse_arguments(command.split())
    assert all((ROOT / script).is_file() for script in re.findall(r"^bash (\S+)", README, re.MULTILINE))
