"""Per-task gradients: collect them, read their Gram matrix, combine them.

Three ways to collect, one type for what is collected:

- `task_gradients`, `linear_task_gradients`: each task's loss is of its own data (reinforcement learning);
- `loss_gradients`: the losses share a forward pass (supervised learning);
- `backward`: the second in anybody's training loop, filling `.grad`; also through a shared representation (MGDA-UB),
  or with each sample a task; `collect`: the same for several methods, groups of parameters, parts of a batch.
"""

from mtrl.gradients.collected_gradients import CollectedGradients, collect
from mtrl.gradients.leaves import Aggregate, Factors, TaskGradients
from mtrl.gradients.own_data import (
    Parameters,
    Tape,
    by_task,
    linear,
    linear_task_gradients,
    over_tasks,
    task_gradients,
)
from mtrl.gradients.shared_forward import loss_gradients
from mtrl.gradients.training_loop import backward, update

__all__ = [
    "Aggregate",
    "CollectedGradients",
    "Factors",
    "Parameters",
    "Tape",
    "TaskGradients",
    "backward",
    "by_task",
    "collect",
    "linear",
    "linear_task_gradients",
    "loss_gradients",
    "over_tasks",
    "task_gradients",
    "update",
]
