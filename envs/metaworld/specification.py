"""What a worker process of Meta-World is told."""

from typing import TypedDict

from mtrl.envs.options import RewardVersion


class Specification(TypedDict):
    """What a worker simulates."""

    tasks: tuple[str, ...]
    """All tasks of the vector environment: they decide the goals."""
    goal_seed: int
    """Decides the goals."""
    num_goals: int
    """Goals of each task."""
    reward_version: RewardVersion
    """Which of metaworld's rewards."""
    rows: list[int]
    """The rows that this worker serves."""
    row_tasks: list[int]
    """The task index of each of these rows."""
