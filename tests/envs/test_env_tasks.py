"""Names, and arguments of `make`."""

import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS, MT10_V3, MT25_V3, MT50_V3

from mtrl import envs
from mtrl.envs.catalog import CATALOG


def test_names_and_order_are_metaworlds() -> None:
    assert tuple(CATALOG) == tuple(ALL_V3_ENVIRONMENTS)
    assert envs.task_names("MT10") == tuple(MT10_V3)
    assert envs.task_names("MT25") == tuple(MT25_V3)
    assert envs.task_names("MT50") == tuple(MT50_V3)
    assert envs.task_names("MT1:reach-v3") == ("reach-v3",)
    assert envs.task_names(["sweep-v3", "reach-v3"]) == ("sweep-v3", "reach-v3")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("MT11", "unknown benchmark 'MT11'; the closest is 'MT10'"),
        ("reach-v3", "unknown benchmark 'reach-v3'; the closest is 'MT1:reach-v3'"),
        ("MT1:reech-v3", "the closest is 'MT1:reach-v3'"),
        (["reach-v3", "push-v2"], "unknown task 'push-v2'; the closest is 'push-v3'"),
        ("HalfCheeta-v5", "unknown benchmark 'HalfCheeta-v5'; the closest is 'HalfCheetah-v5'"),
        (["reach-v3", "Hoper-v5"], "unknown task 'Hoper-v5'; the closest is 'Hopper-v5'"),
        (["reach-v3", "reach-v3"], "names a task once, got 'reach-v3' 2 times"),
        ([], "at least one"),
    ],
)
def test_bad_tasks_are_one_line(tasks: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        envs.task_names(tasks)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs_per_task": 0}, "num_envs_per_task must be an integer >= 1, got 0"),
        ({"num_envs_per_task": 1.5}, "num_envs_per_task must be an integer >= 1, got 1.5"),
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295, got -1"),
        ({"horizon": 501}, "horizon must be an integer from 1 to 500, got 501"),
        ({"num_workers": -1}, "num_workers must be an integer >= 0, got -1"),
        ({"backend": "env-pool"}, "the closest is 'envpool'"),
        ({"goal_seed": -1}, "goal_seed must be an integer from 0 to 4294967295, got -1"),
        ({"num_goals": 51}, "num_goals must be an integer from 1 to 50, got 51"),
        ({"one_hot": 1}, "one_hot must be True or False, got 1"),
        ({"goals_visible": "no"}, "goals_visible must be True or False, got 'no'"),
        ({"reward_version": "v3"}, "reward_version must be one of .*got 'v3'"),
        ({"goal_order": "cyclic"}, "the closest is 'cycle'"),
    ],
)
def test_bad_arguments_are_one_line(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        envs.make("MT1:reach-v3", **arguments)
    assert "\n" not in str(error.value)
