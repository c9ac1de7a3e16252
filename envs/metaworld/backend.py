"""Stock metaworld: its physics, its 50 goals per task, its rewards, bit for bit."""

import importlib.metadata
from typing import TypedDict

from mtrl.cores import available_cores
from mtrl.envs.catalog import CATALOG
from mtrl.envs.goals import NUM_GOALS, goal_index
from mtrl.envs.interface import ACTION_SIZE, OBSERVATION_SIZE, SimulatorInfo
from mtrl.envs.options import Options
from mtrl.envs.workers.assignment import balanced_part
from mtrl.envs.workers.plan import Plan, Share
from mtrl.envs.workers.vector_env import WorkerEnv
from mtrl.extras import install


class Specification(TypedDict):
    """What a worker is told to simulate, as JSON."""

    tasks: tuple[str, ...]
    """All tasks of the vector environment: they decide the goals."""
    goal_seed: int
    """The seed that decides the goals."""
    num_goals: int
    """Goals of each task."""
    reward_version: str
    """Which of metaworld's rewards."""
    rows: list[int]
    """The rows that this worker serves."""
    row_tasks: list[int]
    """The task index of each of these rows."""


def metaworld_env(options: Options) -> WorkerEnv:
    """Environments of Meta-World tasks in worker processes.

    Raises:
        ModuleNotFoundError: metaworld or MuJoCo is not installed.
    """
    plan = Plan(
        simulator=_simulator_info(options),
        worker="mtrl.envs.metaworld.worker",
        shares=_shares(options),
        observation_size=OBSERVATION_SIZE,
        action_size=ACTION_SIZE,
        start=_goal,
        make=metaworld_env,
    )
    return WorkerEnv(options, plan)


def _goal(options: Options, task: int, environment: int, episode: int) -> int:
    name, num_envs = options.names[task], options.num_envs_per_task
    return goal_index(options.goal_order, options.seed, name, num_envs, environment, episode, options.num_goals)


def _shares(options: Options) -> list[Share]:
    """What each worker simulates; `num_workers` 0 means one per core."""
    tasks = options.names
    row_tasks = [task for task in range(len(tasks)) for _ in range(options.num_envs_per_task)]
    costs = [CATALOG[tasks[task]].cost_us for task in row_tasks]
    assignment = balanced_part(costs, row_tasks, options.num_workers or available_cores(), options.own_rows)
    return [_share(options, of_worker, [row_tasks[row] for row in of_worker]) for of_worker in assignment]


def _share(options: Options, rows: list[int], row_tasks: list[int]) -> Share:
    specification: Specification = {
        "tasks": options.names,
        "goal_seed": options.seed_of_goals,
        "num_goals": options.num_goals,
        "reward_version": options.reward_version,
        "rows": rows,
        "row_tasks": row_tasks,
    }
    return Share(", ".join(dict.fromkeys(options.names[task] for task in row_tasks)), {**specification})


def _simulator_info(options: Options) -> SimulatorInfo:
    packages = ("metaworld", "mujoco")
    try:
        versions = {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(f"backend='metaworld' needs {error.name}: {install('rl')}", name=error.name) from None
    choice = {"random": "one drawn uniformly per episode", "cycle": "visited in turn"}[options.goal_order]
    number = options.num_goals if options.num_goals != NUM_GOALS else "the benchmark's 50"
    seed = "" if options.goal_seed is None else f" of goal seed {options.goal_seed}"
    hidden = "" if options.goals_visible else ", not visible"
    return SimulatorInfo(
        backend="metaworld",
        versions=versions,
        goals=f"{number} per task{seed}, {choice}{hidden}",
        reward=f"Meta-World {options.reward_version.upper()}",
    )
