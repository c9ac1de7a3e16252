"""Metaworld's own environments, to compare with."""

from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv


def stock_env(task: str, reward_version: str = "v2") -> SawyerXYZEnv:
    """The environment of a task (V3 name) as metaworld builds it."""
    return ALL_V3_ENVIRONMENTS[task](reward_function_version=reward_version)
