"""What every simulator backend looks like from outside.

Axes: T tasks, E environments per task, O observation, A action.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np

OBSERVATION_SIZE = 39
"""Numbers in a Meta-World observation: two frames of 18 (hand 3, gripper 1, objects 14) and the goal 3."""
ACTION_SIZE = 4
"""Numbers in a Meta-World action: hand displacement 3 and gripper effort 1, each in [-1, 1]."""
MAX_HORIZON = 500
"""Meta-World refuses to step further than this without a reset."""


class Sizes(NamedTuple):
    """Numbers in an observation, O, and in an action, A."""

    observation: int
    action: int


class TaskInfo(NamedTuple):
    """A task as it is, whatever the others beside it are."""

    name: str
    observation: int
    """Numbers of an observation."""
    action: int
    """Numbers of an action."""
    limit: int | None
    """Steps after which an episode is truncated if nothing else is asked for; None if it ends when it ends."""
    has_success: bool
    """Whether its infos tell of success."""


class SimulatorError(RuntimeError):
    """A simulator process ended that nobody asked to: it was killed, say, for want of memory."""


class TaskError(SimulatorError):
    """An environment raised an exception, which would come again. A note has the traceback, of its own code alone."""


class Peers(Protocol):
    """Processes that step the same environments together, each those of some tasks."""

    def own(self, num_tasks: int) -> slice:
        """The tasks that are simulated here, of so many."""

    def fill(self, rows: np.ndarray) -> None:
        """The rows of other processes' tasks come into `rows`, `[T, E]` of any type, and those of this one go out."""


class Step(NamedTuple):
    """One transition of every environment; the arrays are the caller's own."""

    obs: np.ndarray
    """`[T, E, O]` float64: what to act on next; the reset observation where the episode ended."""
    next_obs: np.ndarray
    """`[T, E, O]` float64: the true successor of the transition, never a reset observation."""
    reward: np.ndarray
    """`[T, E]` float64; Meta-World's V2 reward is in [0, 10]."""
    terminated: np.ndarray
    """`[T, E]` bool: the task ended; Meta-World's never do, so False."""
    truncated: np.ndarray
    """`[T, E]` bool: the horizon was reached; bootstrap through it unless the task terminated as well."""
    success: np.ndarray
    """`[T, E]` bool: the simulator's success of this very step; False where a task does not tell of any."""
    episode_success: np.ndarray
    """`[T, E]` bool: success at any step of the episode so far, this one included."""
    episode_return: np.ndarray
    """`[T, E]` float64: undiscounted sum of the episode's rewards so far."""
    episode_length: np.ndarray
    """`[T, E]` int64: steps of the episode so far."""

    @property
    def done(self) -> np.ndarray:
        """`[T, E]` bool: the episode ended; `episode_*` are then the finished episode's."""
        return self.terminated | self.truncated


@dataclass(frozen=True)
class SimulatorInfo:
    """What a result has to be labelled with."""

    backend: str
    """`metaworld`, `envpool` or `gymnasium`; of a mixture, both."""
    versions: Mapping[str, str]
    """Version of each package that decides the numbers."""
    goals: str
    """Where an episode's goal comes from."""
    reward: str
    """Which reward is given: Meta-World's V2, say, or EnvPool's."""


class VectorEnv(Protocol):
    """All environments of all tasks, stepped together.

    A copy, or what a pickle gives back, is another one made alike, before its first reset.
    """

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names, in the order of the task axis: Meta-World V3's or Gymnasium's."""

    @property
    def infos(self) -> tuple[TaskInfo, ...]:
        """What each task is.

        Observations and actions of all are as long as the longest: behind a task's own numbers its observations hold
        zeros, and what stands there in its actions is not looked at.
        """

    @property
    def num_envs_per_task(self) -> int:
        """E, the number of environments of each task."""

    @property
    def seed(self) -> int:
        """The seed that the environment was made with."""

    @property
    def observation_size(self) -> int:
        """O, the number of numbers in an observation."""

    @property
    def action_size(self) -> int:
        """A, the number of numbers in an action."""

    @property
    def horizon(self) -> int:
        """Steps after which an episode is truncated; the most, where tasks differ."""

    @property
    def simulator(self) -> SimulatorInfo:
        """The label of results made here."""

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start a new episode everywhere; the first observation, `[T, E, O]`.

        With a seed, its first one: all goes on as in an environment that is made with this seed and these goals.
        """

    def send(self, actions: np.ndarray, active: np.ndarray | None = None) -> None:
        """Begin a step with actions `[T, E, A]` and return at once.

        Environments that are not `active`, `[T, E]` bool, stay where they are, and what `recv` has of them is of no
        use; None for all. Only registered ones can stay while others of their kind step.

        Actions are taken as float32, Meta-World's own type; like there, displacements are clipped to [-1, 1].
        Registered environments: all are clipped to [-1, 1], which stands for the range of their own.

        Raises:
            ValueError: wrong shape; NaN or infinity, with the task's name.
            RuntimeError: before `reset`, twice in a row, or after `close`.
        """

    def recv(self) -> Step:
        """Wait for the step begun by `send`.

        Raises:
            RuntimeError: without a `send`, after `close`, or if a simulator process failed (with its tasks);
                `SimulatorError` if it was killed, `TaskError` if an environment raised.
        """

    def step(self, actions: np.ndarray) -> Step:
        """Take a step with actions `[T, E, A]`: `send`, then `recv`."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """What `load_state_dict` needs, as plain numeric arrays; not between `send` and `recv`."""

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Go on from a saved state; the current observation, `[T, E, O]`.

        Raises:
            ValueError: the state is not one of this backend, or was saved by a differently made one.
        """

    def close(self) -> None:
        """End every simulator; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
