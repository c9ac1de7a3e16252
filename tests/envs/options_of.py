"""What an environment was made from."""

from mtrl.envs import VectorEnv
from mtrl.envs.mixed import MixedEnv
from mtrl.envs.options import Options
from mtrl.envs.workers.vector_env import WorkerEnv


def options_of(env: VectorEnv) -> Options:
    """As it holds them now."""
    assert isinstance(env, MixedEnv | WorkerEnv)
    return env._options
