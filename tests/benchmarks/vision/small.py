"""The vision benchmarks as they run in a second."""

import json
from pathlib import Path
from typing import Any

import yaml

from mtrl.benchmarks import SupervisedConfig

CONFIGS = Path(__file__).parents[3] / "configs" / "supervised"
SMALL: dict[str, dict[str, Any]] = {
    "celeba": {"width": 4, "image_size": 32},
    "celeba-famo": {"width": 4, "image_size": 32},
    "cityscapes2": {"width": 4, "image_height": 32, "image_width": 64},
    "cityscapes3": {"width": 4, "image_height": 32, "image_width": 64},
    "nyuv2": {"width": 4, "image_height": 32, "image_width": 32},
}


def load(name: str, **changes: Any) -> SupervisedConfig:
    """A committed config, its benchmark made small, other fields changed."""
    tree = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    tree["benchmark"] |= SMALL[name] | changes.pop("benchmark", {})
    tree["evaluation"].pop("mean_last_epochs", None)  # more than there are
    return SupervisedConfig.model_validate_json(json.dumps(tree | {"device": "cpu", "threads": 1} | changes))
