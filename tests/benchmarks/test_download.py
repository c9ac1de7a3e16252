"""Downloads against a server on this machine: resumed, checked, never a part taken for the whole."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mtrl.benchmarks.download import DOWNLOADS, RemoteFile, download, main
from mtrl.runs.errors import UserError

CONTENT = bytes(range(256)) * 40


class Mirror(ThreadingHTTPServer):
    """Serves one file; knows ranges, and may stop half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.stops_after: int | None = None
        self.knows_ranges = self.tells_length = True
        self.ranges: list[str | None] = []

    def file(self, content: bytes = CONTENT) -> RemoteFile:
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return RemoteFile(f"http://127.0.0.1:{self.server_port}/a.gz", len(content), md5)


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.knows_ranges else 0
        if start >= len(self.server.content) > 0:
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.stops_after])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_once(mirror: Mirror, tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        download([mirror.file()], tmp_path / "new", lines.append)
    assert (tmp_path / "new" / "a.gz").read_bytes() == CONTENT
    assert mirror.ranges == [None]
    assert lines == [f"{tmp_path / 'new' / 'a.gz'}: 10,240 bytes", f"{tmp_path / 'new' / 'a.gz'}: there"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.gz"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_is_no_file_and_goes_on(mirror: Mirror, tmp_path: Path, knows_ranges: bool) -> None:
    mirror.stops_after = 1_000
    with pytest.raises(UserError, match=r"the connection ended after 1,000 of 10,240 bytes"):
        download([mirror.file()], tmp_path)
    assert not (tmp_path / "a.gz").exists()
    mirror.stops_after, mirror.knows_ranges = None, knows_ranges
    download([mirror.file()], tmp_path)
    assert (tmp_path / "a.gz").read_bytes() == CONTENT
    assert mirror.ranges == [None, "bytes=1000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.gz"]


def test_neither_we_nor_the_mirror_need_know_the_size(mirror: Mirror, tmp_path: Path) -> None:
    mirror.tells_length = False
    download([mirror.file()._replace(size=None)], tmp_path)
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_something_else_than_expected_is_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content = b"x" + CONTENT[1:]
    with pytest.raises(UserError, match="sent something else than expected"):
        download([mirror.file(CONTENT)], tmp_path)
    assert list(tmp_path.iterdir()) == []
    mirror.content = CONTENT + b"more"
    with pytest.raises(UserError, match="sent something else than expected"):
        download([mirror.file(CONTENT)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_or_changed_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    for damaged in (CONTENT[:-1], b"x" + CONTENT[1:]):
        (tmp_path / "a.gz").write_bytes(damaged)
        download([mirror.file()], tmp_path)
        assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_what_the_mirror_refuses_is_one_line_with_all_files(mirror: Mirror, tmp_path: Path) -> None:
    """More bytes than it has are of another file: the next call begins anew."""
    (tmp_path / "a.gz.partial").write_bytes(CONTENT + b"more")
    with pytest.raises(UserError) as caught:
        download([mirror.file(), mirror.file()._replace(called="b.gz")], tmp_path)
    told = f"cannot fetch {mirror.file().url} (Requested Range Not Satisfiable); expected in {tmp_path}: a.gz, b.gz"
    assert str(caught.value) == told
    assert list(tmp_path.iterdir()) == []
    download([mirror.file()], tmp_path)
    assert (tmp_path / "a.gz").read_bytes() == CONTENT


def test_offline_one_line_names_all_files(mirror: Mirror, tmp_path: Path) -> None:
    gone = mirror.file()
    mirror.server_close()
    with pytest.raises(UserError) as caught:
        download([gone, gone._replace(url="http://127.0.0.1:9/b.gz")], tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"cannot fetch {gone.url} (")
    assert line.endswith(f"expected in {tmp_path}: a.gz, b.gz")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tuple(file._replace(url=f"http://127.0.0.1:9/{file.name}") for file in DOWNLOADS["mnist"])
    monkeypatch.setitem(DOWNLOADS, "mnist", nowhere)
    assert main(["mnist", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz" in captured.err
