"""`mtrl.envs.make`."""

from scripts.envs_bench.row import OneCall, random_actions


class Make(OneCall):
    """A backend of `mtrl.envs.make`, stepped by `step`."""

    def __init__(self, size: int, workers: int, backend: str) -> None:
        from mtrl import envs

        self.size = size
        self._env = envs.make(
            "MT10",
            num_envs_per_task=size // 10,
            backend=backend,
            num_workers=min(workers, size) if backend == "metaworld" else 0,
        )
        self._actions = random_actions(10, size // 10)
        self._env.reset()

    def step(self, number: int) -> None:
        """See `OneCall.step`."""
        self._env.step(self._actions[number])

    def close(self) -> None:
        """See `Row.close`."""
        self._env.close()


def exact(size: int, workers: int) -> Make:
    """The exact backend."""
    return Make(size, workers, "metaworld")


def envpool(size: int, workers: int) -> Make:
    """The EnvPool backend."""
    return Make(size, workers, "envpool")
