"""The vector environments that others use: gymnasium's, stable-baselines3's, EnvPool's."""

from collections.abc import Callable
from functools import partial
from typing import Any

from scripts.envs_bench.row import OneCall, random_actions


class AsyncVectorEnv(OneCall):
    """gymnasium's: a process per environment."""

    def __init__(self, size: int, workers: int) -> None:
        import gymnasium
        import metaworld

        self.size = size
        if size == 10:
            self._env = gymnasium.make_vec("Meta-World/MT10", vector_strategy="async", seed=0)
        else:  # `make_vec` has no option for more: what it does, repeated
            makers = [maker for maker in _mt10_makers(metaworld) for _ in range(size // 10)]
            mode = gymnasium.vector.AutoresetMode.SAME_STEP
            self._env = gymnasium.vector.AsyncVectorEnv(makers, autoreset_mode=mode)
        self._actions = random_actions(size)
        self._env.reset()

    def step(self, number: int) -> None:
        """See `OneCall.step`."""
        self._env.step(self._actions[number])

    def close(self) -> None:
        """See `Row.close`."""
        self._env.close()


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


class SubprocVecEnv(OneCall):
    """stable-baselines3's: a process per environment."""

    def __init__(self, size: int, workers: int) -> None:
        from stable_baselines3.common.vec_env import SubprocVecEnv

        from mtrl.envs import MT10

        self.size = size
        self._env = SubprocVecEnv([partial(_mt1, task) for task in MT10 for _ in range(size // 10)])
        self._actions = random_actions(size)
        self._env.reset()

    def step(self, number: int) -> None:
        """See `OneCall.step`."""
        self._env.step(self._actions[number])

    def close(self) -> None:
        """See `Row.close`."""
        self._env.close()


def _mt1(task: str) -> Any:
    import gymnasium
    import metaworld  # noqa: F401  # registers what follows

    return gymnasium.make("Meta-World/MT1", env_name=task, seed=0)


class RawEnvPool(OneCall):
    """EnvPool by itself: a pool per task, send to all, then receive from all."""

    def __init__(self, size: int, workers: int) -> None:
        import envpool

        from mtrl.envs import MT10

        self.size = size
        names = ["".join(word.capitalize() for word in task.removesuffix("-v3").split("-")) for task in MT10]
        self._pools = [
            envpool.make_gymnasium(
                f"MetaWorld/{name}-v3", num_envs=size // 10, num_threads=1, seed=1000 * number, max_episode_steps=500
            )
            for number, name in enumerate(names)
        ]
        self._actions = random_actions(10, size // 10)
        for pool in self._pools:
            pool.async_reset()
        for pool in self._pools:
            pool.recv()

    def step(self, number: int) -> None:
        """See `OneCall.step`."""
        for pool, actions in zip(self._pools, self._actions[number], strict=True):
            pool.send(actions)
        for pool in self._pools:
            pool.recv()

    def close(self) -> None:
        """See `Row.close`."""
        self._pools.clear()
