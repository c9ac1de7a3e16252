"""The rows, by the name that `--rows` takes."""

import importlib
from importlib.util import find_spec
from typing import NamedTuple, cast

from scripts.envs_bench.row import Row


class Entry(NamedTuple):
    """A row before it is built."""

    title: str
    module: str
    factory: str
    """Called with the number of environments and of workers."""
    needs: str | None = None
    """A package that may be missing."""
    gib_per_env: float = 0.05
    """Roughly, to leave out what does not fit."""

    def build(self, size: int, workers: int) -> Row:
        """Import what it needs and construct it."""
        module = importlib.import_module(f"scripts.envs_bench.{self.module}")
        return cast(Row, getattr(module, self.factory)(size, workers))

    @property
    def is_missing(self) -> bool:
        """Whether its package is not installed."""
        return self.needs is not None and find_spec(self.needs) is None


REFERENCE = "async"
LIMIT = "limit"
ROWS = {
    LIMIT: Entry("C limit: 5 mj_step + mj_forward, a process per worker", "forked", "PhysicsAlone"),
    REFERENCE: Entry("gymnasium AsyncVectorEnv", "vector_envs", "async_vector_env", gib_per_env=0.1),
    "stock": Entry("forked workers, shared memory, stock environments", "forked", "stock_environments"),
    "exact": Entry("envs.make, exact backend", "vector_envs", "exact"),
    "envpool": Entry("envs.make, EnvPool backend", "vector_envs", "envpool", "envpool"),
    "raw": Entry("EnvPool alone: send to all, then receive from all", "vector_envs", "raw_envpool", "envpool"),
    "sb3": Entry("stable-baselines3 SubprocVecEnv", "vector_envs", "subproc_vec_env", "stable_baselines3", 0.3),
}
ONE_CORE = (LIMIT, "stock", "exact", "raw")
"""The rows that are also measured on one core."""
