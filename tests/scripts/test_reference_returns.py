"""The committed return of random actions is what the script gives."""

import sys

import pytest

from mtrl import envs
from mtrl.agents.scores import reference
from scripts.reference_returns import main


def test_a_line_is_the_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["reference_returns", "InvertedPendulum-v5"])
    main()
    (info,) = envs.task_infos(["InvertedPendulum-v5"])
    known = reference(info, info.limit or 0)
    assert known is not None
    assert capsys.readouterr().out == f"InvertedPendulum-v5,{known[0]}\n"
