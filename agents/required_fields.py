"""Values that fields must have: with single-task agents, and for a score that stands beside the old MT10 tables."""

from collections.abc import Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any

from mtrl import envs

SINGLE_TASK: dict[str, dict[str, Any]] = {
    "none": {},
    # One task's gradient has nothing to be combined with; some methods would still scale it.
    "ours": {"method.name": "mean"},
    # What their SAC is, or cannot do.
    "stable_baselines3": {
        "method.name": "mean",
        "agent.actor.kind": "mlp",
        "agent.critic.kind": "mlp",
        "agent.conditioning.encoding": "none",
        "agent.value": "scalar",
        "agent.weight_decay": 0.0,
        "agent.max_grad_norm": None,
        "agent.log_std_min": -20.0,
        "agent.log_std_max": 2.0,
        "agent.actor_every": 1,
        "agent.reset_every_updates": 0,
        "training.precision": "float32",
        "training.compile": False,
    },
}
"""By `agent.single_task`, the value that a field must have."""

LEGACY: dict[str, Any] = {
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


def differences(config: Any, wanted: Mapping[str, Any]) -> list[str]:
    """The fields that a configuration would have to change, a line each; `auto` becomes what is wanted."""
    values = {name: attrgetter(name)(config) for name in wanted}
    return [
        f"{name} must be {_shown(wanted[name])}, got {_shown(value)}"
        for name, value in values.items()
        if value not in (wanted[name], "auto")
    ]


def legacy_differences(config: Any) -> list[str]:
    """The fields that a configuration would have to change to be of protocol legacy, a line each."""
    found = differences(config, LEGACY)
    with suppress(ValueError, ModuleNotFoundError):  # told where the environments are made
        if others := [task for task in envs.task_names(config.env.tasks) if not envs.is_metaworld(task)]:
            found.append(f"env.tasks must be Meta-World's, got {', '.join(others)}")
    if not config.training.eval_every_steps:
        found.append("training.eval_every_steps must be greater than 0, got 0")
    return found


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
