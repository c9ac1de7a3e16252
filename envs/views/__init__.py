"""A vector environment as other libraries want it: `num_envs` = T * E in one row, task by task.

    gym_env = envs.views.as_gymnasium(envs.make("MT10", num_envs_per_task=4))
    model = stable_baselines3.SAC("MlpPolicy", envs.views.as_stable_baselines3(envs.make("MT1:reach-v3")))

Each library is imported when its view is asked for. Closing a view closes the environment.
"""

from typing import TYPE_CHECKING

from mtrl.envs.interface import VectorEnv

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from mtrl.envs.views.gymnasium_vector import GymnasiumVector
    from mtrl.envs.views.stable_baselines3_vector import StableBaselines3Vector

__all__ = ["as_gymnasium", "as_stable_baselines3"]


def as_gymnasium(env: VectorEnv, autoreset_mode: "AutoresetMode | str" = "SameStep") -> "GymnasiumVector":
    """A `gymnasium.vector.VectorEnv`.

    Args:
        env: that is seen.
        autoreset_mode: `gymnasium.vector.AutoresetMode`, or its value: `SameStep`, `NextStep` (which
            `NormalizeObservation` asks for) or `Disabled`.
    """
    from mtrl.envs.views.gymnasium_vector import AutoresetMode, GymnasiumVector

    return GymnasiumVector(env, AutoresetMode(autoreset_mode))


def as_stable_baselines3(env: VectorEnv) -> "StableBaselines3Vector":
    """A `stable_baselines3.common.vec_env.VecEnv`."""
    from mtrl.envs.views.stable_baselines3_vector import StableBaselines3Vector

    return StableBaselines3Vector(env)
