"""A run's environments: those that it trains on, and those that it is evaluated on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mtrl import envs
from mtrl.agents.config import Config, EnvConfig
from mtrl.runs.errors import UserError

MOST_ENVS_PER_TASK = 5
"""Environments of a task in an evaluation: more only make its simulators dearer to build."""
_ANOTHER = 2**31
"""Turns a goal seed into another that nobody trains with."""


def training_env(section: EnvConfig, seed: int, cores: int, peers: envs.Peers | None = None) -> envs.VectorEnv:
    """The environments that the run learns from.

    Args:
        section: of the run.
        seed: of the run.
        cores: that the simulators and the learner have together.
        peers: that simulate together; None for this process alone.

    Raises:
        UserError: an option does not fit the backend.
    """
    return _make(section, seed=seed, num_workers=training_workers(section, cores), peers=peers)


def evaluation_env(
    config: Config,
    seed: int,
    episodes: int,
    num_workers: int = 0,
    unseen_goals: bool = False,
    peers: envs.Peers | None = None,
) -> envs.VectorEnv:
    """An evaluation's: the run's tasks on the reference backend, observed and rewarded as the configuration says.

    Args:
        config: of the run.
        seed: of the run; it decides the goals unless `evaluation.goal_seed` or `env.goal_seed` does.
        episodes: per task; goals are visited in turn, so 50 episodes see each of the benchmark's 50 once.
        num_workers: simulator processes; 0 chooses.
        unseen_goals: whether the goals are others than those of training.
        peers: that simulate together; None for this process alone.
    """
    goal_seed = config.env.goal_seed if config.evaluation.goal_seed is None else config.evaluation.goal_seed
    if unseen_goals:
        goal_seed = (seed if goal_seed is None else goal_seed) ^ _ANOTHER
    return _make(
        config.env,
        num_envs_per_task=max(n for n in range(1, MOST_ENVS_PER_TASK + 1) if episodes % n == 0),
        seed=seed,
        backend="metaworld",
        horizon=config.evaluation.horizon,
        goal_seed=goal_seed,
        goal_order="cycle",
        num_workers=num_workers,
        peers=peers,
    )


def plays_unseen_goals(config: Config) -> bool:
    """Whether the evaluation at the end plays Meta-World's tasks on other goals than those of training, too."""
    wanted = config.evaluation.unseen_goals and config.evaluation.goal_seed is None
    return wanted and any(map(envs.is_metaworld, envs.task_names(config.env.tasks)))


@contextmanager
def simulating() -> Iterator[None]:
    """Turns the death of a simulator within into a user's error.

    Raises:
        UserError: one of their processes was killed, or an environment raised.
    """
    try:
        yield
    except envs.SimulatorError as error:
        raise UserError.of(error) from error


def _make(section: EnvConfig, **others: Any) -> envs.VectorEnv:
    """The section's environments; `others` are options that it does not have, or that take the place of its own."""
    options = section.model_dump(exclude={"normalized_observations"}) | others
    try:
        return envs.make(**options)
    except ValueError as error:
        raise UserError(str(error)) from error


def shown_horizon(infos: Sequence[envs.TaskInfo], horizon: int | None) -> int | str:
    """The steps of an episode, for a record: one number, or what there is where tasks differ."""
    steps = envs.horizons(infos, horizon)
    return steps[0] if len(set(steps)) == 1 else f"{min(steps)} to {max(steps)}, each task's own"


def training_workers(section: EnvConfig, cores: int) -> int:
    """Simulator processes beside a learner: an update takes longer than the step that it overlaps with."""
    alone = section.backend == "envpool" and envs.are_metaworld(envs.task_names(section.tasks))
    if alone or section.num_workers:
        return section.num_workers
    return max(1, cores // 4)
