"""wandb, for real, offline: what is logged is read back from the file that it would upload."""

import json
import struct
import sys
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from mtrl.agents.config import Config
from mtrl.cli.tracking import Tracker, numbers, track_films
from mtrl.runs.errors import UserError
from tests.cli.conftest import train_points
from tests.report.run_folders import PROTOCOL, evaluation, result, start, train


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))


def tracked_run(folder: Path, known: Container[Path] = ()) -> Path:
    """The file of the one tracked run in `folder` that is not known yet, once wandb's own process has written it."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        new = [path for path in folder.glob("wandb/offline-run-*/run-*.wandb") if path not in known]
        if new and "exit" in (kind for kind, _ in records(new[0])):
            assert len(new) == 1
            return new[0]
        time.sleep(0.05)
    raise TimeoutError(f"no complete run in {folder}")


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """Kind and content of each record: after 7 bytes, blocks of 32 KiB with fragments, as LevelDB logs them."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # no fragment begins in the last bytes of a block
            at += 32768 - at % 32768
            continue
        _, length, fragment = struct.unpack_from("<IHB", data, at)
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if at > len(data):
            return  # still being written
        if fragment in (1, 4):  # whole, or the last one
            record = Record.FromString(b"".join(parts))
            kind = record.WhichOneof("record_type")
            yield kind, getattr(record, kind)
            parts = []


def read(path: Path) -> tuple[Any, list[dict[str, Any]], dict[str, Any]]:
    """The run record, the logged lines and the summary."""
    run: Any = None
    lines: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for kind, record in records(path):
        if kind == "run":
            run = record
        elif kind == "history":
            lines.append(values(record.item))
        elif kind == "summary":
            summary |= values(record.update)
    return run, lines, summary


def values(items: Iterable[Any]) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def test_offline_run_and_its_continuation(offline: None, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "seed_3"
    folder.mkdir(parents=True)
    config = Config(name="a", seeds=(3, 4), track=True)
    with Tracker(config, 3, folder) as tracker:
        tracker.update(start(3, precision="bfloat16"))
        tracker.update(train(1000, None, 0.25))
        tracker.update(evaluation(1000, 0.5, 0.75))
        tracker.update({"kind": "progress"})
        tracker.finish(result(1000, 3, (0.5, 1.0), (0.25, 0.5)))

    first = tracked_run(folder)
    run, lines, summary = read(first)
    assert (run.project, run.run_group, run.job_type) == ("mtrl", "a: nash_mtl", "nash_mtl")
    assert run.display_name == "a/seed_3"
    assert values(run.config.update)["precision"] == "bfloat16"  # `training/precision` is auto
    logged = {name: value for name, value in lines[0].items() if not name.startswith("_")}
    assert logged == {
        "step": 1000,
        "updates": 100,
        "wall_s": 10.0,
        "steps_per_s": 100.0,
        "updates_per_s": 10.0,
        "success/push-v3": 0.25,  # reach-v3 had no episode yet: it is not logged
        "return/push-v3": 25.0,
        "loss/critic/reach-v3": 1.0,
        "loss/critic/push-v3": 1.0,
        "loss/actor/reach-v3": -1.0,
        "loss/actor/push-v3": -1.0,
    }
    assert lines[1]["step"] == 1000
    assert lines[1]["evaluation/success_any/push-v3"] == 0.75
    assert lines[1]["evaluation/return/reach-v3"] == 0.5
    assert summary["final/mean/success_any"] == 0.75
    assert summary["final/reach-v3/success_final"] == 0.25

    with Tracker(config, 3, folder) as tracker:
        tracker.update(start(3, resumed_at_step=1000))
        tracker.update(train(2000, 0.5, 0.5))
    again, lines, _ = read(tracked_run(folder, known=[first]))
    assert again.run_id == run.run_id
    assert lines[0]["step"] == 2000


def test_each_folder_has_its_own_run(offline: None, tmp_path: Path) -> None:
    ids = set()
    for seed in (0, 1):
        folder = tmp_path / f"seed_{seed}"
        folder.mkdir()
        with Tracker(Config(track=True), seed, folder) as tracker:
            tracker.update(start(seed))
        ids.add(read(tracked_run(folder))[0].run_id)
    assert len(ids) == 2


def test_seeds_side_by_side_and_resumed_are_a_run_each(offline: None, tmp_path: Path) -> None:
    """What is tracked is what is in the run folders, number for number, of the same seed."""
    words = "--seeds 0 1 --method.name mean --training.eval_every_steps 480 --training.eval_episodes 2 --track true"
    assert train_points(tmp_path, "a", words) == 0
    folders = {seed: tmp_path / "a" / f"seed_{seed}" for seed in (0, 1)}
    first = {seed: tracked_run(folder) for seed, folder in folders.items()}
    for seed, folder in folders.items():
        run, lines, summary = read(first[seed])
        assert (run.run_group, run.job_type, run.display_name) == ("a: mean", "mean", f"a/seed_{seed}")
        assert tracked(lines) == logged(folder)
        record = json.loads((folder / "evaluation.json").read_text())
        assert summary["final/mean/success_any"] == record["mean"]["success_any"]
        assert summary["final/PointEast-v0/mean_return"] == record["tasks"][0]["mean_return"]
    assert read(first[0])[0].run_id != read(first[1])[0].run_id

    before = {seed: len(logged(folder)) for seed, folder in folders.items()}
    assert train_points(tmp_path, "a", f"{words} --steps 1440 --resume") == 0
    for seed, folder in folders.items():
        run, lines, _ = read(tracked_run(folder, known=[first[seed]]))
        assert run.run_id == read(first[seed])[0].run_id
        assert tracked(lines) == logged(folder)[before[seed] :]


def tracked(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The logged lines without what wandb adds."""
    return [{name: value for name, value in line.items() if not name.startswith("_")} for line in lines]


def logged(folder: Path) -> list[dict[str, Any]]:
    """The numbers of `metrics.jsonl` as they are to be tracked."""
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = []
    for event in events:
        values = numbers(event)
        if event["kind"] == "train":
            found.append(values)
        elif event["kind"] == "evaluation":
            found.append({name if name == "step" else f"evaluation/{name}": value for name, value in values.items()})
    return found


def test_the_two_protocols_have_names_of_their_own(offline: None, tmp_path: Path) -> None:
    final = result(1000, 3, (0.5, 1.0), (0.25, 0.5), protocol=PROTOCOL | {"name": "legacy", "episodes": 1})
    with Tracker(Config(track=True), 3, tmp_path) as tracker:
        tracker.update(start(3))
        tracker.finish(final)
    _, _, summary = read(tracked_run(tmp_path))
    assert summary["legacy/mean/success_any"] == 0.75
    assert not any(name.startswith("final/") for name in summary)


def test_nothing_is_written_before_the_run_starts(offline: None, tmp_path: Path) -> None:
    folder = tmp_path / "seed_0"
    with Tracker(Config(track=True), 0, folder) as tracker:
        tracker.finish(result(1000, 0, (0.5, 1.0), (0.25, 0.5)))
    assert not folder.exists()


def test_a_run_that_was_trained_before_gets_its_final_values(offline: None, tmp_path: Path) -> None:
    with Tracker(Config(track=True), 3, tmp_path) as tracker:
        tracker.update(start(3))
    first = tracked_run(tmp_path)
    with Tracker(Config(track=True), 3, tmp_path) as tracker:
        tracker.finish(result(1000, 3, (0.5, 1.0), (0.25, 0.5)))
    again, _, summary = read(tracked_run(tmp_path, known=[first]))
    assert again.run_id == read(first)[0].run_id
    assert summary["final/mean/success_any"] == 0.75


def test_films_go_to_the_same_tracked_run(offline: None, tmp_path: Path) -> None:
    config, film = Config(seeds=(3,), track="wandb"), tmp_path / "reach-v3_goal_00.mp4"
    film.write_bytes(b"frames")
    with Tracker(config, 3, tmp_path) as tracker:
        tracker.update(start(3))
    first = tracked_run(tmp_path)
    assert track_films(config, tmp_path, 4000, {film.stem: film})
    second = tracked_run(tmp_path, known=[first])
    again, lines, _ = read(second)
    assert again.run_id == read(first)[0].run_id
    assert lines[0]["step"] == 4000
    assert lines[0]["film/reach-v3_goal_00/_type"] == "video-file"
    assert [path.read_bytes() for path in second.parent.rglob("*.mp4")] == [b"frames"]


@pytest.mark.parametrize("track", [False, "csv", "tensorboard"])
def test_films_go_nowhere_else(track: Literal[False, "csv", "tensorboard"], tmp_path: Path) -> None:
    assert not track_films(Config(track=track), tmp_path, 4000, {"reach-v3": tmp_path / "reach-v3.mp4"})
    assert not [*tmp_path.iterdir()]


def test_without_the_package_it_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it fails, as if it were not installed
    with pytest.raises(UserError, match="--track needs wandb: pip install"):
        Tracker(Config(track=True), 0, tmp_path)


def test_online_without_a_login_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.netrc
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    wandb.teardown()
    with pytest.raises(UserError, match=r"--track needs `wandb login`, or WANDB_MODE=offline"):
        Tracker(Config(track=True), 0, tmp_path)
    wandb.teardown()
