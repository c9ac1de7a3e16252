"""QM9's raw files from their mirrors.

python -m mtrl.benchmarks.qm9.download DIR
"""

import argparse
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from mtrl.benchmarks.download import RemoteFile, download, status_of
from mtrl.benchmarks.qm9.files import RAW_NAMES
from mtrl.runs.errors import UserError
from mtrl.runs.files import replacing

ARCHIVE = RemoteFile(
    "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/gdb9.tar.gz", None, "560f62d8e6c992ca0cf8ed8d013f9131"
)
UNCHARACTERIZED = RemoteFile(
    "https://ndownloader.figshare.com/files/3195404", 486_752, "a361887bacb427b8a0ce7903d92a53b4", RAW_NAMES[2]
)


def fetch(folder: Path, archive: RemoteFile = ARCHIVE, uncharacterized: RemoteFile = UNCHARACTERIZED) -> None:
    """Fetches and unpacks what is not there; every file appears whole or not at all.

    Raises:
        UserError: see `mtrl.benchmarks.download.download`; or the archive lacks a file.
    """
    download([uncharacterized], folder, print)
    missing = [name for name in RAW_NAMES[:2] if not (folder / name).is_file()]
    if not missing:
        return
    download([archive], folder, print)
    with tarfile.open(folder / archive.name) as files:
        for name in missing:
            member = next((m for m in files.getmembers() if Path(m.name).name == name and m.isfile()), None)
            content = None if member is None else files.extractfile(member)
            if content is None:
                raise UserError(f"{folder / archive.name} was expected to hold {name}, which is not there")
            with replacing(folder / name) as out:
                shutil.copyfileobj(content, out)
            print(f"{folder / name}: unpacked")
    (folder / archive.name).unlink()


def main(words: Sequence[str] | None = None) -> int:
    """The command; 2 for a failure, told in a line."""
    parser = argparse.ArgumentParser("python -m mtrl.benchmarks.qm9.download", description="Fetch QM9's raw files.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args(words).folder
    return status_of(lambda: fetch(folder))


if __name__ == "__main__":
    sys.exit(main())
