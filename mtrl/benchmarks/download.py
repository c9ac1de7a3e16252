"""Files from their official mirrors: resumed where a download stopped, and never taken for whole before they are.

python -m mtrl.benchmarks.download mnist DIR
"""

import argparse
import hashlib
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mtrl.runs.errors import UserError

_BLOCK = 1 << 20
_TIMEOUT_S = 30
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


class RemoteFile(NamedTuple):
    """One file on a mirror."""

    url: str
    size: int | None
    """Bytes; None: as many as the mirror says."""
    md5: str
    called: str | None = None
    """In the user's folder, if not what the address ends in."""

    @property
    def name(self) -> str:
        """The name of the file in the user's folder."""
        return self.called or self.url.rsplit("/", 1)[-1]


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DOWNLOADS: dict[str, tuple[RemoteFile, ...]] = {
    "mnist": (
        RemoteFile(_MNIST + "train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        RemoteFile(_MNIST + "train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        RemoteFile(_MNIST + "t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        RemoteFile(_MNIST + "t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    "fashion_mnist": (
        RemoteFile(_FASHION + "train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        RemoteFile(_FASHION + "train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        RemoteFile(_FASHION + "t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        RemoteFile(_FASHION + "t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
}
"""What can be fetched, by name."""


def download(files: Sequence[RemoteFile], folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
    """Fetches the files that are not there whole.

    A file grows as `<name>.partial`, from where an earlier call stopped; it gets its own name once size and checksum
    are right.

    Args:
        files: wanted.
        folder: made if need be.
        tell: is given a line for each file.

    Raises:
        UserError: the mirror cannot be reached or sends something else; one line with the files that are expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file.name
        if path.is_file() and _is_whole(path, file):
            tell(f"{path}: there")
            continue
        try:
            _fetch(file, path)
        except (OSError, http.client.HTTPException) as error:
            of_mirror = isinstance(error, urllib.error.HTTPError)  # whose `filename` is the address
            if not of_mirror and getattr(error, "filename", None) is not None:
                raise  # the disk's fault
            reason = getattr(error, "reason", None) or error
            names = ", ".join(file.name for file in files)
            raise UserError(f"cannot fetch {file.url} ({reason}); expected in {folder}: {names}") from error
        tell(f"{path}: {path.stat().st_size:,} bytes")


def _fetch(file: RemoteFile, path: Path) -> None:
    partial = path.with_name(f"{path.name}.partial")
    have, size = partial.stat().st_size if partial.exists() else 0, file.size
    if have == 0 or not _is_whole(partial, file):
        request = urllib.request.Request(file.url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                resumed = answer.status == _PARTIAL_CONTENT
                if size is None and (length := answer.headers["Content-Length"]):
                    size = int(length) + (have if resumed else 0)
                with partial.open("ab" if resumed else "wb") as out:
                    while block := answer.read(_BLOCK):
                        out.write(block)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE:  # more bytes here than there: they are of another file
                partial.unlink()
            raise
    if size is not None and partial.stat().st_size < size:
        raise UserError(
            f"{file.url}: the connection ended after {partial.stat().st_size:,} of {size:,} bytes; "
            f"call it again to go on"
        )
    if not _is_whole(partial, file):
        partial.unlink()
        raise UserError(f"{file.url} sent something else than expected (MD5 {file.md5}): removed, try again later")
    partial.replace(path)


def _is_whole(path: Path, file: RemoteFile) -> bool:
    if file.size is not None and path.stat().st_size != file.size:
        return False
    return md5_of(path) == file.md5


def md5_of(path: Path) -> str:
    """MD5 of a file, in hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def main(words: Sequence[str] | None = None) -> int:
    """The command; 2 for a failure, told in a line."""
    parser = argparse.ArgumentParser("python -m mtrl.benchmarks.download", description="Fetch a data set.")
    parser.add_argument("name", choices=sorted(DOWNLOADS))
    parser.add_argument("folder", type=Path, metavar="DIR")
    arguments = parser.parse_args(words)
    return status_of(lambda: download(DOWNLOADS[arguments.name], arguments.folder, print))


def status_of(fetch: Callable[[], object]) -> int:
    """The exit status: 0, or 2 for a failure, which is told in a line."""
    try:
        fetch()
    except (UserError, OSError) as error:
        print(f"download: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
