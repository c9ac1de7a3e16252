"""Small files that would take much memory are refused before any is taken."""

import gzip
import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mtrl.benchmarks.multimnist.idx import read_images
from mtrl.benchmarks.qm9 import raw
from mtrl.benchmarks.vision.celeba_files import read_tables
from mtrl.benchmarks.vision.files import read_array, read_map, read_picture
from mtrl.runs.errors import UserError
from tests.benchmarks.idx_files import write_idx_folder

MIB = 1 << 20


def refused(use: Callable[[], object], text: str, most: int = 64 * MIB) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=text) as caught:
            use()
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_gzip_that_grows(tmp_path: Path) -> None:
    """256 MiB in 260 kB, after a header that tells of one image."""
    write_idx_folder(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 1, 28, 28)
    zeros = gzip.compress(bytes(32 * MIB))
    path.write_bytes(gzip.compress(header) + zeros * 8)
    refused(lambda: read_images(tmp_path, "train"), "expected 784 bytes for its 1x28x28, got more")
    path.write_bytes(gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 28, 28)) + zeros * 8)
    refused(lambda: read_images(tmp_path, "train"), "expected at most 784,000,000 bytes, got 2,147,483,648x28x28")


def test_qm9_that_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST_BYTES", MIB)
    (tmp_path / "gdb9.sdf.gz").write_bytes(gzip.compress(bytes(32 * MIB)) * 4)
    refused(lambda: raw.read_structures(tmp_path / "gdb9.sdf.gz"), "no file of QM9 has more than 1,048,576 bytes")


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20, 3), (10, 10)])
def test_an_array_that_tells_of_more_than_there_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(8))
    told = rf"is damaged \(8 bytes follow its header, which tells of {8 * int(np.prod(shape, dtype=object)):,}\)"
    refused(lambda: read_array(tmp_path / "a.npy", (None, None)), told)


def png(width: int, height: int) -> bytes:
    """One that is said to be black, and has no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [60_000, 12_000, 6_000])
def test_large_pictures(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(size, size))
    text = "is larger than any picture|pixels, and no picture of these data sets more than"
    refused(lambda: read_picture(path, (64, 64)), text)
    refused(lambda: read_map(path, None), text)


def test_devices_and_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    (tmp_path / "b.npy").symlink_to("/dev/zero")
    (tmp_path / "a.png").symlink_to("/dev/zero")
    for name in ("a.npy", "b.npy"):
        refused(partial(read_array, tmp_path / name, (None,)), "not a regular file")
    (tmp_path / "b.png").write_bytes(png(8, 8))
    os.truncate(tmp_path / "b.png", 2**31)  # a hole behind a picture that would be opened
    for name in ("a.png", "b.png"):
        refused(partial(read_picture, tmp_path / name, (8, 8)), "is damaged: expected a PNG or JPEG picture")
    (tmp_path / "list_eval_partition.txt").write_text("")
    (tmp_path / "list_attr_celeba.txt").write_text("")
    os.truncate(tmp_path / "list_attr_celeba.txt", 2**40)
    refused(lambda: read_tables(tmp_path), "more than the 268,435,456 that are expected")
