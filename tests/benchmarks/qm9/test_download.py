"""QM9's files from a mirror: one on this machine, that can break off."""

import hashlib
import io
import tarfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from mtrl.benchmarks.download import RemoteFile
from mtrl.benchmarks.qm9.download import fetch
from mtrl.benchmarks.qm9.files import RAW_NAMES, read_folder
from mtrl.runs.errors import UserError
from tests.benchmarks.qm9.raw_sample import write


class Mirror(BaseHTTPRequestHandler):
    """Serves contents by path, from a byte on if asked; breaks off after `limit` bytes."""

    def __init__(self, contents, asked, limit, *arguments):
        self.contents, self.asked, self.limit = contents, asked, limit
        super().__init__(*arguments)

    def do_GET(self):
        content, wanted = self.contents[self.path], self.headers["Range"]
        self.asked.append((self.path, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + self.limit[0]])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(tmp_path):
    """Addresses of archive and list, what was asked for, and how many bytes an answer has at most."""
    source = write(tmp_path / "source")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in RAW_NAMES[:2]:
            archive.add(source / name, name)
    contents = {"/gdb9.tar.gz": packed.getvalue(), "/3195404": (source / RAW_NAMES[2]).read_bytes()}
    asked: list[tuple[str, str | None]] = []
    limit = [10**9]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, contents, asked, limit))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    md5 = {path: hashlib.md5(content).hexdigest() for path, content in contents.items()}
    files = (
        RemoteFile(f"{base}/gdb9.tar.gz", None, md5["/gdb9.tar.gz"]),
        RemoteFile(f"{base}/3195404", len(contents["/3195404"]), md5["/3195404"], RAW_NAMES[2]),
    )
    yield files, asked, limit
    server.shutdown()
    server.server_close()


def test_files_are_fetched_and_unpacked_once(mirror, tmp_path):
    files, asked, _ = mirror
    fetch(tmp_path / "data", *files)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(RAW_NAMES)
    for ours, theirs in zip(read_folder(tmp_path / "data"), read_folder(tmp_path / "source"), strict=True):
        assert torch.equal(ours, theirs)
    before = len(asked)
    fetch(tmp_path / "data", *files)
    assert len(asked) == before


def test_a_download_that_broke_off_is_resumed_and_never_taken_for_whole(mirror, tmp_path):
    files, asked, limit = mirror
    limit[0] = 700
    with pytest.raises(UserError, match="the connection ended after 700 of"):
        fetch(tmp_path / "data", *files)
    assert not (tmp_path / "data" / "gdb9.tar.gz").exists()
    assert not (tmp_path / "data" / "gdb9.sdf").exists()
    limit[0] = 10**9
    fetch(tmp_path / "data", *files)
    assert asked[-1] == ("/gdb9.tar.gz", "bytes=700-")
    assert len(read_folder(tmp_path / "data").targets) == 40


def test_another_file_than_expected_is_refused(mirror, tmp_path):
    (archive, uncharacterized), *_ = mirror
    with pytest.raises(UserError, match="sent something else than expected"):
        fetch(tmp_path / "data", archive._replace(md5="0" * 32), uncharacterized)
    assert not (tmp_path / "data" / "gdb9.tar.gz").exists()


def test_without_a_network_it_names_the_files(tmp_path):
    nowhere = RemoteFile("http://127.0.0.1:9/3195404", 1, "", RAW_NAMES[2])
    with pytest.raises(UserError, match=r"cannot fetch http://127.0.0.1:9/3195404 .*uncharacterized\.txt"):
        fetch(tmp_path, nowhere, nowhere)
