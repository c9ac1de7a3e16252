"""The committed return of random actions is what the script gives."""

from mtrl import envs
from mtrl.agents.scores import reference
from tests.scripts.running import script


def test_a_line_is_the_tables() -> None:
    done = script("reference_returns", "InvertedPendulum-v5")
    (info,) = envs.task_infos(["InvertedPendulum-v5"])
    known = reference(info, info.limit or 0)
    assert known is not None
    assert done.stdout == f"InvertedPendulum-v5,{known[0]}\n"
