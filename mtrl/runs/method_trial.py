"""A configured method tried on the tasks that it is for, before anything is written."""

import torch

from mtrl import aggregation
from mtrl.gradients import TaskGradients
from mtrl.runs.errors import UserError
from mtrl.runs.section import MethodConfig


def try_method(config: MethodConfig, num_tasks: int, batch: tuple[int, ...] = ()) -> None:
    """Asks a new method for the weights of orthogonal gradients: what it lacks it says now, not at the first update.

    Args:
        config: of the method.
        num_tasks: T, that it will weigh.
        batch: leading axes that its Gram matrices will have.

    Raises:
        UserError: it does not fit these tasks: a preference of another length, too few tasks, a missing package.
    """
    method = aggregation.make(config.name, **config.arguments)
    orthogonal = torch.eye(num_tasks).expand(*batch, num_tasks, num_tasks).clone()
    losses = torch.ones(*batch, num_tasks)
    try:
        TaskGradients({"parameter": orthogonal}, len(batch)).aggregate(method, losses)
        if method.needs_update:
            method.update(losses)
    except (ValueError, ArithmeticError) as error:
        raise UserError(f"method: {str(error).splitlines()[0]}") from error
