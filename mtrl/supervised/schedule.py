"""The step size over the epochs."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import MultiStepLR, ReduceLROnPlateau, StepLR

from mtrl.supervised.run_config import ScheduleConfig

_NO_STATE = ("milestones", "threshold")  # a Counter, of no plain data; another one in checkpoints of 0.2.0


class Schedule:
    """Sets the optimizer's step size at the end of each epoch; given at its first one."""

    def __init__(self, config: ScheduleConfig, optimizer: Optimizer) -> None:
        self._scheduler: StepLR | MultiStepLR | ReduceLROnPlateau | None = None
        if config.kind == "step":
            self._scheduler = StepLR(optimizer, config.every_epochs, config.factor)
        elif config.kind == "multi_step":
            self._scheduler = MultiStepLR(optimizer, config.milestones, config.factor)
        elif config.kind == "plateau":
            # Any fall of the step size is made (eps), be it below torch's 1e-8. Any lower score is an improvement
            # (threshold): torch's is a share of the score, and makes one of every score below zero.
            self._scheduler = ReduceLROnPlateau(
                optimizer,
                factor=config.factor,
                patience=config.patience_epochs,
                threshold=0,
                min_lr=config.minimum,
                eps=0,
            )

    def end_epoch(self, score: float | None) -> None:
        """Takes the validation score of the epoch, lower is better; only `plateau` asks for it."""
        if isinstance(self._scheduler, ReduceLROnPlateau):
            assert score is not None  # `BenchmarkJob` sees to it
            self._scheduler.step(score)
        elif self._scheduler is not None:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any] | None:
        if self._scheduler is None:
            return None
        return {name: value for name, value in self._scheduler.state_dict().items() if name not in _NO_STATE}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        if self._scheduler is not None and state is not None:
            self._scheduler.load_state_dict({name: value for name, value in state.items() if name not in _NO_STATE})
