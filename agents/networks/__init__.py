"""Networks as pure functions of named parameters, written for one task and lifted over tasks by `mtrl.gradients`.

Axes: `T` tasks, `B` rows, `I` inputs, `O` outputs. The parameters of a network are `shared` (all tasks) and `own`
(`[T, ...]`, one slice a task): heads, embeddings, one-hot rows, FiLM, the weights of PaCo's sets and MOORE's experts.
"""

from mtrl.agents.networks.network import Network, TwinCritic, make_network
from mtrl.agents.networks.network_config import ConditioningConfig, NetworkConfig
from mtrl.agents.networks.own_trial import try_network
from mtrl.agents.networks.parameters import Layout, NetworkParameters

__all__ = [
    "ConditioningConfig",
    "Layout",
    "Network",
    "NetworkConfig",
    "NetworkParameters",
    "TwinCritic",
    "make_network",
    "try_network",
]
