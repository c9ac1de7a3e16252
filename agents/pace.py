"""Speed of the parts of a run, and the time that is left of it. Seconds are of the wall clock."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from mtrl import envs
from mtrl.agents.config import Config
from mtrl.agents.environments import plays_unseen_goals
from mtrl.protocols import MODERN

_WINDOW = 500  # vector steps that the speed is taken over: half a minute where they are quick
_SIMULATED_STEP_S = 0.5e-3  # of Meta-World on one core: where nothing was measured yet


@dataclass(frozen=True)
class Budget:
    """The work of a run. Steps are those of one replica, summed over tasks; all replicas go on together."""

    steps: int
    warmup_steps: int
    """The first of the steps, which are without updates."""
    steps_per_vector_step: int
    checkpoint_every_steps: int
    eval_every_steps: int = 0
    """0 for no evaluation during training."""
    eval_simulated_steps: int = 0
    """Simulated steps of one evaluation during training, all replicas together."""
    final_simulated_steps: int = 0
    """Simulated steps of the evaluations at the end, all replicas together; they come one after the other."""
    num_replicas: int = 1
    speedup: float = 1.0
    """Simulator processes of an evaluation, for each of training's."""


def budget(config: Config, num_replicas: int, train_workers: int, eval_workers: int) -> Budget:
    """The work of a run with this configuration.

    Args:
        config: of the run.
        num_replicas: seeds side by side.
        train_workers: processes that simulate for one replica while it trains.
        eval_workers: of an evaluation.
    """
    num_tasks, settings, evaluation = len(envs.task_names(config.env.tasks)), config.training, config.evaluation
    steps = envs.horizons(envs.task_infos(config.env.tasks), evaluation.horizon)
    simulated_steps = sum(steps) * num_replicas  # of an episode of every task
    times = 2 if plays_unseen_goals(config) else 1
    return Budget(
        steps=config.steps,
        warmup_steps=min(config.steps, settings.warmup_steps),
        steps_per_vector_step=num_tasks * config.env.num_envs_per_task,
        checkpoint_every_steps=settings.checkpoint_every_steps,
        eval_every_steps=settings.eval_every_steps,
        eval_simulated_steps=settings.eval_episodes * simulated_steps,
        final_simulated_steps=evaluation.episodes * simulated_steps * times if evaluation.protocol == MODERN else 0,
        num_replicas=num_replicas,
        speedup=eval_workers / min(eval_workers, num_replicas * train_workers),
    )


class Recent:
    """The mean of the last numbers."""

    def __init__(self) -> None:
        self._numbers: deque[float] = deque(maxlen=_WINDOW)

    def add(self, number: float) -> None:
        """Take one more number."""
        self._numbers.append(number)

    def mean(self) -> float | None:
        """The mean of the newest numbers; None before the first."""
        return sum(self._numbers) / len(self._numbers) if self._numbers else None


class Pace:
    """Measures each kind of work apart, and says what is left."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.warmup, self.learning, self._save = Recent(), Recent(), Recent()
        self.learned_s = 0.0
        """Spent in vector steps with updates."""
        self._start_s = 0.0
        self._simulated_step_s: float | None = None
        """Seconds of a simulated step of an evaluation, as one took or as an earlier process knew; None for neither."""

    def started(self, seconds: float) -> None:
        """The simulators of all replicas took so long to start."""
        self._start_s = seconds

    def warmed_up(self, seconds: float) -> None:
        """A vector step without updates took so long."""
        self.warmup.add(seconds)

    def learned(self, seconds: float) -> None:
        """A vector step with its updates, none of them compiled then, took so long."""
        self.learning.add(seconds)
        self.learned_s += seconds

    def saved(self, seconds: float) -> None:
        """The checkpoints took so long."""
        self._save.add(seconds)

    def evaluated(self, seconds: float) -> None:
        """An evaluation during training, of all replicas, took so long."""
        self._simulated_step_s = max(0.0, seconds - self._start_s) / self.budget.eval_simulated_steps

    def left_s(self, step: int) -> float | None:
        """Seconds until the run is trained and evaluated, from a step on; None while a speed it needs is unknown."""
        budget = self.budget
        warmup = max(0, budget.warmup_steps - step)
        learning = max(0, budget.steps - max(step, budget.warmup_steps))
        parts = [(warmup, self.warmup.mean()), (learning, self.learning.mean())]
        left = 0.0
        for steps, seconds in parts:
            if steps and seconds is None:
                return None
            left += steps / budget.steps_per_vector_step * (seconds or 0.0)
        return left + self._saves_left(step) * (self._save.mean() or 0.0) + self._evaluations_s(step)

    def state_dict(self) -> dict[str, Any]:
        """The measurement that a run which goes on cannot repeat, its warm-up being over."""
        return {"simulated_step_s": self._known_step_s()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`; an old checkpoint has none, and gives an empty one."""
        self._simulated_step_s = state.get("simulated_step_s")

    def _known_step_s(self) -> float | None:
        """Seconds of a simulated step of an evaluation, by the warm-up's if by nothing better; None if by nothing."""
        seconds, budget = self.warmup.mean(), self.budget
        if self._simulated_step_s is not None or seconds is None:
            return self._simulated_step_s
        return seconds / (budget.steps_per_vector_step * budget.num_replicas) / budget.speedup

    def _saves_left(self, step: int) -> int:
        if step >= self.budget.steps:
            return 0
        return self._times(self.budget.checkpoint_every_steps, step) + 1

    def _evaluations_s(self, step: int) -> float:
        budget, step_s = self.budget, self._known_step_s()
        step_s = _SIMULATED_STEP_S if step_s is None else step_s
        total = self._start_s + budget.final_simulated_steps * step_s if budget.final_simulated_steps else 0.0
        if budget.eval_every_steps:
            at_end = not budget.final_simulated_steps and step < budget.steps  # else another one is made there
            count = self._times(budget.eval_every_steps, step) + at_end
            total += count * (self._start_s + budget.eval_simulated_steps * step_s)
        return total

    def _times(self, every_steps: int, step: int) -> int:
        """How often what is due every so many steps, once a vector step at most, is done between a step and the end."""
        every = max(every_steps, self.budget.steps_per_vector_step)
        return max(0, (self.budget.steps - 1) // every - step // every)
