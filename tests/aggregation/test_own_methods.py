"""Methods that are not ours: `package.module:Class`, and entry points of installed packages."""

import re
import sys
from pathlib import Path

import pytest
import torch

from mtrl import aggregation, backward
from tests.aggregation.own_method import OWN, write_own
from tests.existing import existing
from tests.own_package import register

G = torch.tensor([[4.0, 0.0], [0.0, 16.0]])


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, monkeypatch)


@pytest.mark.usefixtures("own")
def test_make_finds_a_class_of_ones_own() -> None:
    method = aggregation.make("own_rules.unit:UnitNorm", total=2)
    assert torch.equal(method(G), torch.tensor([0.5, 0.25]))
    known = aggregation.hyperparameters("own_rules.unit:UnitNorm")
    assert {name: parameter.default for name, parameter in known.items()} == {"total": 1.0, "note": None}


@pytest.mark.usefixtures("own")
def test_it_serves_a_loop_as_ours_do() -> None:
    x = torch.tensor([1.0, 1.0], requires_grad=True)
    backward([2 * x[0], 4 * x[1]], aggregation.make("own_rules.unit:UnitNorm"), [x])
    assert torch.equal(existing(x.grad), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nowhere.rules:A", {}, "method 'nowhere.rules:A': there is no module nowhere"),
        ("own_rules.nowhere:A", {}, "method 'own_rules.nowhere:A': there is no module own_rules.nowhere"),
        ("own_rules.broken:A", {}, "method 'own_rules.broken:A': own_rules.broken cannot be imported: ValueError: no"),
        ("own_rules.unit:UnitNorn", {}, "own_rules.unit has no UnitNorn; did you mean UnitNorm?"),
        ("own_rules.unit:", {}, "a method of one's own is package.module:Class, got 'own_rules.unit:'"),
        ("own_rules/unit.py:UnitNorm", {}, "a method of one's own is package.module:Class, got 'own_rules/unit.py:U"),
        ("own_rules.unit:torch", {}, "must be a subclass of Method, LossMethod or CoordinateMethod, got <module"),
        ("own_rules.unit:Plain", {}, "must be a subclass of Method, LossMethod or CoordinateMethod, got <class"),
        ("own_rules.unit:Unfinished", {}, "method 'own_rules.unit:Unfinished' does not implement weigh"),
        ("own_rules.unit:UnitNorm", {"totl": 1}, "has no hyper-parameter 'totl': did you mean 'total'? known: note, t"),
        ("own_rules.unit:UnitNorm", {"total": "1"}, "own_rules.unit:UnitNorm needs total of float, got '1'"),
        ("own_rules.unit:Scaled", {}, "own_rules.unit:Scaled needs a hyper-parameter scale, which has no default"),
    ],
)
@pytest.mark.usefixtures("own")
def test_mistakes_are_one_line(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        aggregation.make(name, **arguments)
    assert "\n" not in str(error.value)


def test_a_module_in_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules_beside.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    with pytest.raises(ValueError, match=r"there is no module rules_beside; PYTHONPATH=\. finds it in this folder"):
        aggregation.make("rules_beside:UnitNorm")


@pytest.mark.usefixtures("own")
def test_an_installed_package_adds_a_method(tmp_path: Path) -> None:
    unit = "own_rules.unit:UnitNorm"
    register(tmp_path, "own_rules", "mtrl.methods", unit_norm=unit, mean=unit, gone="own_rules.unit:Gone")
    assert torch.equal(aggregation.make("unit_norm", total=2.0)(G), torch.tensor([0.5, 0.25]))
    assert type(aggregation.make("mean")) is aggregation.LinearScalarization  # ours keep their names
    with pytest.raises(ValueError, match=r"method 'gone': own_rules\.unit has no Gone"):
        aggregation.make("gone")
    with pytest.raises(ValueError, match="unknown method 'unit_nrm': did you mean 'unit_norm'"):
        aggregation.make("unit_nrm")
