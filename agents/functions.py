"""The networks and losses that a configuration describes."""

import torch

from mtrl.agents.config import AgentConfig
from mtrl.agents.losses import SoftActorCritic
from mtrl.agents.networks import TwinCritic, make_network
from mtrl.agents.values import CategoricalValue, GaussianHistogramValue, ScalarValue, ValueHead


def build_functions(
    config: AgentConfig, observation_size: int, action_size: int, precision: torch.dtype
) -> SoftActorCritic:
    """Those of all tasks; `precision` is of the matrix products."""
    value_head = _value_head(config)
    conditioning = config.conditioning
    actor = make_network(config.actor, conditioning, observation_size, 2 * action_size, 0.01, precision)
    num_inputs, num_outputs = observation_size + action_size, value_head.num_outputs
    critic = make_network(config.critic, conditioning, num_inputs, num_outputs, 1.0, precision)
    return SoftActorCritic(
        actor,
        TwinCritic(critic),
        value_head,
        config.log_std_min,
        config.log_std_max,
    )


def _value_head(config: AgentConfig) -> ValueHead:
    if config.value == "scalar":
        return ScalarValue()
    kind = CategoricalValue if config.value == "categorical" else GaussianHistogramValue
    return kind(config.num_atoms, config.value_limit)
