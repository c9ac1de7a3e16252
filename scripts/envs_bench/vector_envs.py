"""Vector environments: ours, gymnasium's, stable-baselines3's, EnvPool's; each imports what it needs as it is made."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from scripts.envs_bench.row import OneCall


def exact(size: int, workers: int) -> OneCall:
    """The exact backend of `mtrl.envs.make`."""
    from mtrl import envs

    env = envs.make("MT10", num_envs_per_task=size // 10, num_workers=min(workers, size))
    return OneCall(env, size, 10, size // 10)


def envpool(size: int, workers: int) -> OneCall:
    """The EnvPool backend of `mtrl.envs.make`."""
    from mtrl import envs

    return OneCall(envs.make("MT10", num_envs_per_task=size // 10, backend="envpool"), size, 10, size // 10)


def async_vector_env(size: int, workers: int) -> OneCall:
    """gymnasium's: a process per environment."""
    import gymnasium
    import metaworld

    if size == 10:
        return OneCall(gymnasium.make_vec("Meta-World/MT10", vector_strategy="async", seed=0), size)
    # `make_vec` has no option for more: what it does, repeated
    makers = [maker for maker in _mt10_makers(metaworld) for _ in range(size // 10)]
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    return OneCall(gymnasium.vector.AsyncVectorEnv(makers, autoreset_mode=mode), size)


def _mt10_makers(metaworld: Any) -> list[Callable[[], Any]]:
    benchmark = metaworld.MT10(seed=0)
    return [
        partial(
            metaworld._init_each_env,
            env_cls=cls,
            tasks=[task for task in benchmark.train_tasks if task.env_name == name],
            seed=0,
            env_id=number,
            num_tasks=10,
        )
        for number, (name, cls) in enumerate(benchmark.train_classes.items())
    ]


def subproc_vec_env(size: int, workers: int) -> OneCall:
    """stable-baselines3's: a process per environment."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    from mtrl.envs import MT10

    return OneCall(SubprocVecEnv([partial(_mt1, task) for task in MT10 for _ in range(size // 10)]), size)


def _mt1(task: str) -> Any:
    import gymnasium
    import metaworld  # noqa: F401  # registers what follows

    return gymnasium.make("Meta-World/MT1", env_name=task, seed=0)


def raw_envpool(size: int, workers: int) -> OneCall:
    """EnvPool by itself."""
    return OneCall(_Pools(size // 10), size, 10, size // 10)


class _Pools:
    """A pool per task, send to all, then receive from all."""

    def __init__(self, envs_per_task: int) -> None:
        import envpool

        from mtrl.envs import MT10

        names = ["".join(word.capitalize() for word in task.removesuffix("-v3").split("-")) for task in MT10]
        self._pools = [
            envpool.make_gymnasium(
                f"MetaWorld/{name}-v3",
                num_envs=envs_per_task,
                num_threads=1,
                seed=1000 * number,
                max_episode_steps=500,
            )
            for number, name in enumerate(names)
        ]

    def reset(self) -> None:
        for pool in self._pools:
            pool.async_reset()
        for pool in self._pools:
            pool.recv()

    def step(self, actions: np.ndarray) -> None:
        for pool, of_task in zip(self._pools, actions, strict=True):
            pool.send(of_task)
        for pool in self._pools:
            pool.recv()

    def close(self) -> None:
        self._pools.clear()
