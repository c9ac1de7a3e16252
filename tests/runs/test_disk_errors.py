"""What the disk refuses is told of the place that it is about."""

import errno
from pathlib import Path

import pytest

from mtrl.runs.errors import UserError, disk_errors

RUN = Path("runs/a/seed_0")


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (None, f"cannot write in {RUN}: Permission denied; what was written before is kept"),  # a write, of a full disk
        (RUN / "metrics.jsonl", f"cannot write in {RUN}: Permission denied; what was written before is kept"),
        (RUN.parent, f"cannot write in {RUN}: Permission denied; what was written before is kept"),  # it is made
        (RUN.with_name("seed_1") / "metrics.jsonl", "runs/a/seed_1/metrics.jsonl: Permission denied"),  # side by side
        (Path("/data/train-images.gz"), "/data/train-images.gz: Permission denied"),
    ],
)
def test_a_file_elsewhere_is_named(refused: Path | None, told: str) -> None:
    with pytest.raises(UserError) as caught, disk_errors(RUN):
        raise PermissionError(errno.EACCES, "Permission denied", *([] if refused is None else [str(refused)]))
    assert str(caught.value) == told
