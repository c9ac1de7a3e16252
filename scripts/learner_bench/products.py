"""The matrix products of a plain update and nothing else: below their time no update comes.

Axes: `S` replicas (seeds side by side), `T` tasks, `B` rows of a task.
"""

import torch

from mtrl.agents import Learner
from mtrl.agents.products import Operands, Rows, layers_of_network

ACTOR = {"forward": 2, "to_inputs": 1, "to_weight": 1}
"""Products of a layer of the actor: for the next actions and for its own loss, whose gradient goes back."""
CRITICS = {"forward": 3, "to_inputs": 2, "to_weight": 1}
"""Of a layer of the critics: of the target, for their own loss and for the actor's; back goes the gradient of both."""


class Products:
    """As many products, of the same shapes, as a plain update of this learner makes.

    Args:
        learner: whose networks they are of.
        rows: `B`.
    """

    def __init__(self, learner: Learner, rows: int) -> None:
        self.calls: list[tuple[Operands, dict[str, int]]] = []
        networks = (learner.functions.actor, 1, ACTOR), (learner.functions.critic.network, 2, CRITICS)
        for network, copies, counts in networks:
            of_rows = Rows(copies * len(learner.seeds), learner.num_tasks, rows)
            for index, layer in enumerate(layers_of_network(network)):
                # Of the first layer's inputs the embedding and, in the actor's loss, actions are asked for gradients.
                to_inputs = counts["to_inputs"] - (index == 0 and network.embedding is None)
                operands = Operands.random(layer, of_rows, network.precision, learner.device)
                self.calls.append((operands, counts | {"to_inputs": to_inputs}))

    def __call__(self) -> None:
        """Makes them all."""
        for (x, weight, d, (output, of_x, of_weight)), counts in self.calls:
            for _ in range(counts["forward"]):
                torch.bmm(x, weight, out=output)
            for _ in range(counts["to_inputs"]):
                torch.bmm(d, weight.mT, out=of_x)
            for _ in range(counts["to_weight"]):
                torch.bmm(x.mT, d, out=of_weight)
