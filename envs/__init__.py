"""Vectorized Meta-World and Gymnasium: all environments of all tasks stepped together, `[T, E, ...]`.

    import numpy as np
    from mtrl import envs

    with envs.make("MT10", num_envs_per_task=4, seed=0) as env:
        obs = env.reset()                                  # [10, 4, 39]
        env.send(np.random.uniform(-1, 1, (10, 4, 4)))     # returns at once: learn meanwhile
        step = env.recv()                                  # Step(obs, next_obs, reward, ...)

Knows nothing of learning, and needs numpy alone until a backend is made.
"""

from mtrl.envs import views
from mtrl.envs.factory import make
from mtrl.envs.interface import (
    ACTION_SIZE,
    MAX_HORIZON,
    OBSERVATION_SIZE,
    Peers,
    SimulatorError,
    SimulatorInfo,
    Sizes,
    Step,
    TaskError,
    TaskInfo,
    VectorEnv,
)
from mtrl.envs.options import Options
from mtrl.envs.tasks import MT10, MT25, MT50, are_metaworld, horizons, is_metaworld, sizes, task_infos, task_names

__all__ = [
    "ACTION_SIZE",
    "MAX_HORIZON",
    "MT10",
    "MT25",
    "MT50",
    "OBSERVATION_SIZE",
    "Options",
    "Peers",
    "SimulatorError",
    "SimulatorInfo",
    "Sizes",
    "Step",
    "TaskError",
    "TaskInfo",
    "VectorEnv",
    "are_metaworld",
    "horizons",
    "is_metaworld",
    "make",
    "sizes",
    "task_infos",
    "task_names",
    "views",
]
