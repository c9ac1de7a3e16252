"""Which fields of a configuration single-task agents fix."""

from typing import Any

RULES: dict[str, dict[str, Any]] = {
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
