"""Networks that are not ours: `package.module:Class`, and entry points of installed packages."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mtrl.agents.networks import ConditioningConfig, NetworkConfig, make_network, try_network
from tests.agents import test_agent_networks as networks
from tests.agents.own_trunk import write_own
from tests.own_package import register

SKIP = "own_trunks.skip:Skip"
CONDITIONING = ConditioningConfig()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, monkeypatch)


@pytest.mark.parametrize("heads", [True, False])
@pytest.mark.parametrize("encoding", networks.ENCODINGS)
def test_it_passes_what_ours_must(encoding: str, heads: bool) -> None:
    networks.test_gradients_are_those_of_each_task_alone(SKIP, encoding, heads)
    networks.test_a_network_knows_the_task_unless_it_is_blind(SKIP, encoding, heads)
    config = NetworkConfig(kind=SKIP, width=8, depth=2)
    try_network(config, ConditioningConfig.model_validate({"encoding": encoding, "heads": heads}), networks.I)


def test_sizes_are_the_constructors() -> None:
    def layers(**sizes: int) -> int:
        config = NetworkConfig(kind=SKIP, width=4, depth=2, **sizes)
        trunk: Any = make_network(config, CONDITIONING, 3, 2, 1.0, networks.torch.float64).trunk
        return len(trunk.layers)

    assert (layers(), layers(num_experts=3)) == (2, 6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "nowhere:A"}, "network 'nowhere:A': there is no module nowhere"),
        ({"kind": "own_trunks.skip:Skp"}, "own_trunks.skip has no Skp; did you mean Skip?"),
        ({"kind": "own_trunks/skip.py:Skip"}, "a network of one's own is package.module:Class, got 'own_trunks/sk"),
        ({"kind": "own_trunks.skip:functional"}, "must be a class, got <module"),
        ({"kind": "own_trunks.skip:Plain"}, "network 'own_trunks.skip:Plain' does not implement init, __call__"),
        (
            {"kind": "own_trunks.skip:Blind"},
            "num_inputs, width, depth; its constructor has no hidden",
        ),
        ({"kind": "own_trunks.skip:Unknown"}, "needs heads, for which the configuration has no field"),
        ({"kind": "own_trunks.skip:Asking"}, "own_trunks.skip:Asking needs encoder_width, which has no default"),
        ({"kind": SKIP, "encoder_width": 4}, "own_trunks.skip:Skip has no encoder_width, got encoder_width=4"),
        ({"kind": "skip"}, "Input should be 'mlp', 'residual', 'simba', 'soft_modular', 'care', 'paco' or 'moore'"),
    ],
)
def test_what_is_none_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NetworkConfig(**values)
    (error,) = caught.value.errors()
    assert message in error["msg"]
    assert "\n" not in error["msg"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Twice", "the tasks' gradients of layer0.weight are not theirs"),
        ("SameName", "the tasks' gradients of layer0.weight are not theirs"),
        ("ByHand", "the tasks' gradients of layer0.weight are not theirs"),
        ("Infinite", "fails: FloatingPointError: its outputs or their gradients are not finite"),
        ("Mute", "fails: AttributeError: 'Mute' object has no attribute 'num_outputs'"),
        ("Wrong", "fails: RuntimeError: "),
    ],
)
def test_what_would_learn_wrongly_is_refused(name: str, message: str) -> None:
    config = NetworkConfig(kind=f"own_trunks.skip:{name}", width=8)
    with pytest.raises(ValueError, match="network 'own_trunks") as caught:
        try_network(config, CONDITIONING, 5)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_installed_package_adds_one(tmp_path: Path) -> None:
    register(tmp_path, "own_trunks", "mtrl.networks", skip=SKIP, mlp=SKIP, gone="own_trunks.skip:Gone")
    network = make_network(NetworkConfig(kind="skip"), CONDITIONING, 3, 2, 1.0, networks.torch.float64)
    assert type(network.trunk).__name__ == "Skip"
    network = make_network(NetworkConfig(kind="mlp"), CONDITIONING, 3, 2, 1.0, networks.torch.float64)
    assert type(network.trunk).__name__ == "MLP"  # ours keep their names
    with pytest.raises(ValidationError, match=r"network 'gone': own_trunks\.skip has no Gone"):
        NetworkConfig(kind="gone")
    with pytest.raises(ValidationError, match="'moore', 'gone', 'mlp' or 'skip'"):
        NetworkConfig(kind="skp")
