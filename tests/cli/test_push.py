"""`mtrl push`, and loading what it put there, by the Hub's own client from a server of the same protocol here."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrl.agents import MultiTaskSAC
from mtrl.cli.main import main
from mtrl.runs.errors import UserError
from tests.cli.conftest import train_points

REPOSITORY, COMMIT = "somebody/points", "0123456789abcdef0123456789abcdef01234567"
COMMAND = "import sys; from mtrl.cli.main import main; sys.exit(main())"
LOAD = (
    "import sys, numpy as np; from mtrl.agents import MultiTaskSAC; model = MultiTaskSAC.load(sys.argv[1], 'cpu'); "
    "np.save(sys.argv[2], model.predict(np.load(sys.argv[3]))[0])"
)


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as a push and a download ask for; the files lie in a folder."""

    protocol_version = "HTTP/1.1"
    root: Path

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers.get("Content-Length") or 0)).splitlines()
        address = f"http://127.0.0.1:{self.connection.getsockname()[1]}/{REPOSITORY}"
        if self.path == "/api/repos/create":
            assert json.loads(lines[0])["name"] == "points"
            self.answer({"url": address})
        elif self.path == "/api/validate-yaml":
            content = json.loads(lines[0])["content"]
            assert content.startswith("---\nlibrary_name: mtrl\n")
            self.answer({"errors": [], "warnings": []})
        elif self.path == f"/api/models/{REPOSITORY}/preupload/main":
            files = json.loads(lines[0])["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            self.answer({"files": modes})
        elif self.path == f"/api/models/{REPOSITORY}/commit/main":
            for each in map(json.loads, lines):
                if each["key"] == "file":
                    path = self.root / each["value"]["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(base64.b64decode(each["value"]["content"]))
            self.answer({"commitUrl": f"{address}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.answer({"error": "no such thing"}, 404)

    def do_GET(self) -> None:
        files = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]
        path = self.path.partition("?")[0]
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
        if path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.answer({"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]})
        elif path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            entries = [{"type": "file", "path": f, "size": (self.root / f).stat().st_size, "oid": "0"} for f in files]
            self.answer(entries)
        elif name in files:
            content = (self.root / name).read_bytes()
            tag = f'"{hashlib.sha1(content).hexdigest()}"'
            self.answer(content, X_Repo_Commit=COMMIT, ETag=tag)
        else:
            self.answer({}, 404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")

    def do_HEAD(self) -> None:
        self.do_GET()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a repository; the environment sends the client to its server."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    Hub.root = tmp_path / "hub"
    Hub.root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield Hub.root
    server.shutdown()
    server.server_close()


def python(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client reads its settings when it is imported."""
    command = [sys.executable, "-c", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | environment
    )


def actions(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Observations, and what the policy of a run does."""
    model = MultiTaskSAC.load(folder, "cpu")
    shape = (len(model.tasks), 3, model.sizes.observation)
    observations = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return observations, model.predict(observations)[0]


def test_what_was_pushed_is_loaded_and_does_the_same(hub: Path, tmp_path: Path) -> None:
    assert train_points(tmp_path, "a", "--method.name mean") == 0
    run = tmp_path / "a" / "seed_0"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = python(COMMAND, "push", tmp_path / "a", REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"/{REPOSITORY}/commit/{COMMIT}")
    names = {path.relative_to(hub).as_posix() for path in hub.rglob("*") if path.is_file()}
    assert names == {"README.md", "config.yaml", "evaluation.json", "checkpoints/000000000960.pt"}
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}  # the run stays whole
    size = (hub / "checkpoints" / "000000000960.pt").stat().st_size
    assert size < (run / "checkpoints" / "000000000960.pt").stat().st_size

    observations, expected = actions(run)
    np.save(tmp_path / "observations.npy", observations)
    for settings in ({}, {"HF_HUB_OFFLINE": "1"}):  # then from what the client has kept
        words = (f"hub:{REPOSITORY}", tmp_path / "actions.npy", tmp_path / "observations.npy")
        done = python(LOAD, *words, **settings)
        assert done.returncode == 0, done.stderr
        assert np.array_equal(np.load(tmp_path / "actions.npy"), expected)

    done = python(LOAD, "hub:somebody/else", "a", "b")
    assert done.stderr.splitlines()[-1].startswith("mtrl.runs.errors.UserError: hub:somebody/else: ")
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:1"}
    done = python(COMMAND, "push", run, "somebody/else", **nobody)
    assert done.stderr.startswith("mtrl push: error: somebody/else: the Hub cannot be reached: ")
    done = python(COMMAND, "push", run, "no such/name/at all")
    assert done.returncode == 2
    assert done.stderr.startswith("mtrl push: error: no such/name/at all: ")
    assert done.stderr.count("\n") == 1


def test_a_folder_is_filled_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_points(tmp_path, "a", "--method.name mean --seeds 3") == 0
    clone = tmp_path / "clone"
    clone.mkdir()
    for _ in range(2):  # again, over what is there
        assert main(["push", str(tmp_path / "a"), str(clone)]) == 0
    observations, expected = actions(tmp_path / "a" / "seed_3")
    model = MultiTaskSAC.load(clone, "cpu")
    assert np.array_equal(model.predict(observations)[0], expected)
    with pytest.raises(UserError, match="policy alone"):
        model.learn(80)
    card = (clone / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: mtrl\n")
    assert f'MultiTaskSAC.load("{clone}")' in card
    record = json.loads((tmp_path / "a" / "seed_3" / "evaluation.json").read_text())
    assert f"{record['mean']['success_any']:.2f}" in card
    assert "960 environment steps" in card
    assert "Protocol modern" in card
    assert "torch" in card


@pytest.mark.parametrize(
    ("target", "there", "line"),
    [
        ("runs/a/seed_0", "", " holds the run {run} itself: a policy needs a folder of its own"),
        ("runs", "", " holds the run {run} itself: a policy needs a folder of its own"),
        ("other", "lock", " is the folder of a run, it has lock: a policy needs a folder of its own"),
        ("other", "seed_3", " is the folder of a run, it has seed_3: a policy needs a folder of its own"),
        ("other", "README.md", "/README.md would be replaced, {why}"),
        ("other", "checkpoints", "/checkpoints would be replaced, {why}"),
    ],
)
def test_nothing_is_destroyed(
    target: str, there: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, to = tmp_path / "runs" / "a" / "seed_0", tmp_path / target
    (run / "checkpoints").mkdir(parents=True)
    for file in ("config.yaml", "checkpoints/000000000001.pt"):
        (run / file).write_text("{name: a}")
    to.mkdir(exist_ok=True)
    if there:
        (to / there).touch()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["push", str(run), str(to)]) == 2
    line = line.format(run=run, why="and no model card of mtrl's is beside it: move it away")
    assert capsys.readouterr().err == f"mtrl push: error: {to}{line}\n"
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_without_the_package_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"hub:a/b needs huggingface_hub: pip install 'mtrl-torch\[hub\]'"):
        MultiTaskSAC.load("hub:a/b")
