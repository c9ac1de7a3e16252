"""Registered Gymnasium environments: their own physics, resets and rewards."""

import base64
import importlib.metadata

import numpy as np

from mtrl.cores import available_cores
from mtrl.envs.goals import NUM_GOALS
from mtrl.envs.interface import SimulatorInfo
from mtrl.envs.options import Options
from mtrl.envs.registered.registry import SUITE, find
from mtrl.envs.tasks import sizes
from mtrl.envs.workers.assignment import balanced_part
from mtrl.envs.workers.plan import Plan, Share
from mtrl.envs.workers.vector_env import WorkerEnv


def registered_env(options: Options) -> WorkerEnv:
    """Registered environments in worker processes.

    Actions in [-1, 1] are mapped to the environment's own box. Success is `info["success"]` or
    `info["is_success"]`, False without them.

    Raises:
        ValueError: an option that only Meta-World has, or spaces that are no vectors.
    """
    _check_supported(options)
    largest = sizes(options.names)
    plan = Plan(
        simulator=_simulator_info(options),
        worker="mtrl.envs.registered.worker",
        shares=_shares(options),
        observation_size=largest.observation,
        action_size=largest.action,
        start=reset_seed,
        make=registered_env,
        stays=True,
    )
    return WorkerEnv(options, plan)


def reset_seed(options: Options, task: int, environment: int, episode: int) -> int:
    """What an episode is reset with, `0 <= seed < 2**32`: independent of other tasks, environments and episodes.

    In order `cycle`, all environments of a task work through one list: how many they are does not change it.
    """
    name = options.names[task].encode()
    if options.goal_order == "cycle":
        key: tuple[int, ...] = (*name, environment + episode * options.num_envs_per_task)
    else:
        key = (*name, environment, episode)
    return int(np.random.SeedSequence((options.seed, options.seed_of_goals), spawn_key=key).generate_state(1)[0])


def _check_supported(options: Options) -> None:
    for parameter, value, only in (
        ("num_goals", options.num_goals, NUM_GOALS),
        ("goals_visible", options.goals_visible, True),
        ("reward_version", options.reward_version, "v2"),
    ):
        if value != only:
            raise ValueError(
                f"{parameter} is Meta-World's: with registered environments it must be {only!r}, got {value!r}"
            )


def _shares(options: Options) -> list[Share]:
    import cloudpickle  # Gymnasium needs it as well; takes along what a notebook or a script defines

    row_tasks = [task for task in options.names for _ in range(options.num_envs_per_task)]
    num_workers = options.num_workers or available_cores()
    assignment = balanced_part([1.0] * len(row_tasks), row_tasks, num_workers, options.own_rows)
    specs = {
        info.name: {"spec": base64.b64encode(cloudpickle.dumps(find(info.name))).decode(), **info._asdict()}
        for info in options.infos
    }
    shares = []
    for rows in assignment:
        tasks = [row_tasks[row] for row in rows]
        own = {task: specs[task] for task in tasks}
        shares.append(Share(", ".join(own), {"rows": rows, "row_tasks": tasks, "specs": own}))
    return shares


def _packages(task: str) -> list[str]:
    """What a task is made of, beside Gymnasium and this package."""
    if task.startswith(SUITE):
        return ["dm_control", "mujoco", "shimmy"]
    entry = find(task).entry_point
    module = entry if isinstance(entry, str) else getattr(entry, "__module__", "")
    own = module.split(".")[0].split(":")[0]
    if module.startswith("gymnasium.envs.mujoco"):
        return [own, "mujoco"]
    return [own] if own != "mtrl" else []


def _simulator_info(options: Options) -> SimulatorInfo:
    versions = {"gymnasium": importlib.metadata.version("gymnasium")}
    for task in options.names:  # a package of their own decides the numbers as well
        for package in _packages(task):
            try:
                versions[package] = importlib.metadata.version(package)
            except (importlib.metadata.PackageNotFoundError, ValueError):
                continue
    order = {"random": "drawn per environment and episode", "cycle": "of one list, visited in turn"}
    return SimulatorInfo(
        backend="gymnasium",
        versions=versions,
        goals=f"the environments' own resets, seeds {order[options.goal_order]}",
        reward="the environments' own",
    )
