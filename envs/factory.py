"""Options in, a vector environment out."""

import functools
from collections.abc import Callable
from typing import ParamSpec

from mtrl.envs.envpool import EnvPoolEnv
from mtrl.envs.interface import VectorEnv
from mtrl.envs.metaworld.backend import metaworld_env
from mtrl.envs.mixed import mixed_env
from mtrl.envs.options import Options
from mtrl.envs.registered.backend import registered_env
from mtrl.envs.tasks import is_metaworld

P = ParamSpec("P")


def _taking(options: Callable[P, Options]) -> Callable[P, VectorEnv]:
    @functools.wraps(options, assigned=("__doc__",))  # with it come the signature and its defaults
    def make(*args: P.args, **kwargs: P.kwargs) -> VectorEnv:
        return made(options(*args, **kwargs))

    return make


def made(options: Options) -> VectorEnv:
    """Environments of all tasks, stepped together as `[T, E, ...]`.

    Raises:
        ModuleNotFoundError: one line with the package that the backend needs.
    """
    if options.of_metaworld:
        return EnvPoolEnv(options) if options.backend == "envpool" else metaworld_env(options)
    is_mixed = any(map(is_metaworld, options.names))
    return mixed_env(options, made) if is_mixed else registered_env(options)


make = _taking(Options)
"""What is `made` for options given by name: `make("MT10", num_envs_per_task=4)`."""
