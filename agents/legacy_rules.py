"""What a run must have been trained and evaluated with, for its score to stand beside the old MT10 tables."""

from operator import attrgetter
from typing import Any

RULES: dict[str, Any] = {
    "env.reward_version": "v1",
    "agent.reward_scaling": "deviation",
    "env.num_goals": 1,
    "env.horizon": 150,
    "evaluation.horizon": 150,
    "evaluation.goal_seed": None,
    "training.eval_episodes": 1,
}
"""Of CARE's, CAGrad's and Nash-MTL's common code base (facebookresearch/mtrl and mtenv): V1 rewards divided by their
running deviation, one goal for training and evaluation, horizon 150, one episode. The best evaluation is the score."""


def differences(config: Any) -> list[str]:
    """How a configuration departs from the protocol; what must be different, a line each."""
    values = {name: attrgetter(name)(config) for name in RULES}
    found = [
        f"{name} must be {_shown(RULES[name])}, got {_shown(value)}"
        for name, value in values.items()
        if value != RULES[name]
    ]
    if not config.training.eval_every_steps:
        found.append("training.eval_every_steps must be greater than 0, got 0")
    return found


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
