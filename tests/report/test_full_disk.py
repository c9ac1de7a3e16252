"""A disk that takes no more: one line, and no partial file."""

import resource
from pathlib import Path

import pytest

from mtrl.report import write_report
from mtrl.runs.errors import UserError
from tests.report.run_folders import result, write_run


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    run = write_run(tmp_path, final=result(3000, 0, (1.0, 0.5), (0.5, 0.0)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))  # bytes of a file, for this process
    try:
        with pytest.raises(UserError, match=rf"^cannot write in {tmp_path / 'report'}: File too large"):
            write_report([run], tmp_path / "report", lambda line: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "report").iterdir())
