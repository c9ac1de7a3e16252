"""Copies of a vector environment, and what it is pickled as: another one that is made alike, before its reset."""

from mtrl.envs.interface import VectorEnv
from mtrl.envs.options import Options


def remake(options: Options) -> VectorEnv:
    """The environment that these options make."""
    from mtrl.envs.factory import made  # which imports what calls this

    return made(options)
