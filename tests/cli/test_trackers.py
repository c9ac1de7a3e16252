"""TensorBoard and CSV: what is tracked is what is in the run folder, under the names that wandb has."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtrl.agents.config import Config
from mtrl.cli.main import main
from mtrl.cli.tracking import Tracker, numbers
from mtrl.cli.tracking.csv_file import CsvFile
from mtrl.runs.errors import UserError
from tests.cli.conftest import TOY, train_points
from tests.report.run_folders import evaluation, result, start, train

Values = dict[tuple[int, str], float]
EVERY = "--method.name mean --training.eval_every_steps 480 --training.eval_episodes 2"


def in_csv(folder: Path) -> Values:
    with (folder / "track.csv").open() as file:
        rows = [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]
    found = {(step, name): value for step, name, value in rows}
    assert len(found) == len(rows)
    return found


def in_tensorboard(folder: Path) -> Values:
    """As TensorBoard itself reads its files, in the float32 that they have."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    found = {(e.step, name): e.value for name in events.Tags()["scalars"] for e in events.Scalars(name)}
    assert len(found) == sum(len(events.Scalars(name)) for name in events.Tags()["scalars"])
    return found


def in_mlflow(folder: Path) -> Values:
    """As MLflow itself reads its database: of the one run of this folder that is not deleted."""
    mlflow = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder.parents[1] / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "mtrl"]
    (run,) = client.search_runs([experiment.experiment_id], f"tags.seed = '{folder.name.removeprefix('seed_')}'")
    assert run.info.run_name == f"{folder.parent.name}/{folder.name}"
    history = [(each, client.get_metric_history(run.info.run_id, each)) for each in run.data.metrics]
    found = {(metric.step, name): metric.value for name, metrics in history for metric in metrics}
    assert len(found) == sum(len(metrics) for _, metrics in history)
    return found


READERS = [("csv", in_csv), ("tensorboard", in_tensorboard), ("mlflow", in_mlflow)]
EACH = pytest.mark.parametrize(("track", "read"), READERS)


def in_run(folder: Path) -> Values:
    found: Values = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["kind"] in ("train", "evaluation"):
            before = "evaluation/" if event["kind"] == "evaluation" else ""
            found |= {(event["step"], before + name): value for name, value in numbers(event).items() if name != "step"}
    return found


def in_result(folder: Path, step: int) -> Values:
    record = json.loads((folder / "evaluation.json").read_text())
    tasks = {task["name"]: task for task in record["tasks"]}
    return {(step, f"final/{name}"): value for name, value in numbers({"mean": record["mean"], **tasks}).items()}


def test_csv_has_what_the_run_has_and_goes_on_with_it(tmp_path: Path) -> None:
    words = f"--seeds 0 1 {EVERY} --track csv"
    assert train_points(tmp_path, "a", words) == 0
    folders = [tmp_path / "a" / f"seed_{seed}" for seed in (0, 1)]
    finals = [in_result(folder, 960) for folder in folders]
    for folder, final in zip(folders, finals, strict=True):
        assert in_csv(folder) == in_run(folder) | final
        assert (960, "final/mean/success_any") in final
    assert train_points(tmp_path, "a", f"{words} --steps 1440 --resume") == 0
    for folder, final in zip(folders, finals, strict=True):
        assert in_csv(folder) == in_run(folder) | final | in_result(folder, 1440)


def test_tensorboard_has_what_the_run_has(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert train_points(tmp_path, "a", f"{EVERY} --track tensorboard") == 0
    folder = tmp_path / "a" / "seed_0"
    assert in_tensorboard(folder) == pytest.approx(in_run(folder) | in_result(folder, 960), rel=1e-6, nan_ok=True)
    assert yaml.safe_load((folder / "config.yaml").read_text())["track"] == "tensorboard"


def test_mlflow_has_what_the_runs_have_and_goes_on_with_them(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    words = f"--seeds 0 1 {EVERY} --track mlflow"
    assert train_points(tmp_path, "a", words) == 0
    finals = []
    for folder in (tmp_path / "a" / f"seed_{seed}" for seed in (0, 1)):
        finals.append(in_result(folder, 960))
        assert in_mlflow(folder) == pytest.approx(in_run(folder) | finals[-1], nan_ok=True)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run((tmp_path / "a" / "seed_1" / "mlflow_id").read_text())
    assert (run.info.status, run.data.params["agent.actor.width"]) == ("FINISHED", "16")
    assert run.data.tags.items() >= {("run", "a"), ("method", "mean"), ("seed", "1")}
    assert train_points(tmp_path, "a", f"{words} --steps 1440 --resume") == 0
    for folder, final in zip((tmp_path / "a" / f"seed_{seed}" for seed in (0, 1)), finals, strict=True):
        assert in_mlflow(folder) == pytest.approx(in_run(folder) | final | in_result(folder, 1440), nan_ok=True)


def test_mlflow_goes_on_where_its_database_is_gone_and_takes_every_name(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    folder = tmp_path / "a" / "seed_3"
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        config = Config(track="mlflow", out=str(tmp_path / name), name="a")
        event = train(1000, None, 0.25)
        event["success"] = {"Hopper-v5(healthy_reward=2.0)": 0.5}
        with Tracker(config, 3, folder) as tracker:
            tracker.update(start(3))
            tracker.update(event)
        there = tmp_path / name / "a" / "seed_3"
        assert in_mlflow(there)[1000, "success/Hopper-v5_healthy_reward_2.0_"] == 0.5


@EACH
def test_what_a_resumed_run_repeats_is_there_once(track: str, read: Any, tmp_path: Path) -> None:
    if track != "csv":
        pytest.importorskip(track)
    config = Config.model_validate({"track": track, "out": str(tmp_path), "name": "a"})
    folder = tmp_path / "a" / "seed_3"
    folder.mkdir(parents=True)
    with Tracker(config, 3, folder) as tracker:
        for event in (start(3), train(1000, None, 0.25), train(2000, 0.25, 0.25), evaluation(2000, 0.5, 0.75)):
            tracker.update(event)
    with Tracker(config, 3, folder) as tracker:
        tracker.update(start(3, resumed_at_step=1000))
        tracker.update(train(2000, 0.5, 0.5))
        tracker.finish(result(2000, 3, (0.5, 1.0), (0.25, 0.5)))
    found = read(folder)
    assert found[1000, "success/push-v3"] == 0.25
    assert (1000, "success/reach-v3") not in found  # it had no episode yet
    assert found[2000, "success/push-v3"] == 0.5
    assert (2000, "evaluation/return/reach-v3") not in found
    assert found[2000, "final/mean/success_any"] == 0.75


@EACH
def test_what_a_run_that_begins_anew_repeats_is_there_once(track: str, read: Any, tmp_path: Path) -> None:
    """As one that was killed before its first checkpoint."""
    config, folder = tracked_run(track, tmp_path)
    for value, steps in ((0.25, (1000, 2000)), (0.5, (1000,))):
        with Tracker(config, 3, folder) as tracker:
            tracker.update(start(3))
            for step in steps:
                tracker.update(train(step, value, value))
    found = read(folder)
    assert found[1000, "success/push-v3"] == 0.5
    assert {step for step, _ in found} == {1000}


@EACH
def test_a_run_that_was_trained_before_gets_its_final_values_once(track: str, read: Any, tmp_path: Path) -> None:
    config, folder = tracked_run(track, tmp_path)
    final = result(1000, 3, (0.5, 1.0), (0.25, 0.5))  # as legacy has it: not of the last step
    with Tracker(config, 3, folder) as tracker:
        tracker.finish(final)
    assert not list(folder.iterdir())  # it was not tracked
    events = [start(3), train(1000, None, 0.25), train(2000, 0.25, 0.25)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    with Tracker(config, 3, folder) as tracker:
        for event in events:
            tracker.update(event)  # type: ignore[arg-type]
    before = read(folder)
    for _ in range(2):
        with Tracker(config, 3, folder) as tracker:
            tracker.update({"kind": "result", "record": final})
    found = read(folder)
    assert before.items() < found.items()
    assert found[2000, "final/mean/success_any"] == 0.75


def tracked_run(track: str, out: Path) -> tuple[Config, Path]:
    if track != "csv":
        pytest.importorskip(track)
    folder = out / "a" / "seed_3"
    folder.mkdir(parents=True)
    return Config.model_validate({"track": track, "out": str(out), "name": "a"}), folder


@pytest.mark.parametrize("when", ["__init__", "begin"])
def test_a_tracker_that_fails_at_the_beginning_is_one_line(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CsvFile, when, failing)
    assert train_toy(tmp_path) == 2
    assert capsys.readouterr().err == "mtrl supervised: error: --track csv: no route to the server\n"


@pytest.mark.parametrize("when", ["log", "summarize", "end"])
def test_training_goes_on_without_a_tracker_that_fails(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CsvFile, when, failing)
    assert train_toy(tmp_path) == 0
    line = "toy/seed_0: warning: seed 0 is no longer tracked: --track csv: no route to the server"
    assert capsys.readouterr().out.splitlines().count(line) == 1
    assert (tmp_path / "toy" / "seed_0" / "evaluation.json").exists()


def train_toy(out: Path) -> int:
    (out / "toy.yaml").write_text(TOY)
    command = ["supervised", str(out / "toy.yaml"), "--out", str(out), "--epochs", "2", "--track=csv"]
    return main([*command, "--device", "cpu"])


def failing(*_: Any, **__: Any) -> None:
    raise RuntimeError("no route to the server\nand more about it")


def test_csv_of_a_run_that_was_killed_loses_half_a_line(tmp_path: Path) -> None:
    with Tracker(Config(track="csv"), 3, tmp_path) as tracker:
        tracker.update(start(3))
        tracker.update(train(1000, 0.5, 0.25))
    whole = in_csv(tmp_path)
    with (tmp_path / "track.csv").open("a") as file:
        file.write("1000,success/pu")
    with Tracker(Config(track="csv"), 3, tmp_path) as tracker:
        tracker.update(start(3, resumed_at_step=1000))
    assert in_csv(tmp_path) == whole


def test_a_supervised_run_is_tracked_alike(tmp_path: Path) -> None:
    assert train_toy(tmp_path) == 0
    folder = tmp_path / "toy" / "seed_0"
    found = in_csv(folder)
    assert in_run(folder).items() <= found.items()
    assert any(name.startswith("final/") for _, name in found)


@pytest.mark.parametrize(
    ("track", "module", "extra"), [("tensorboard", "torch.utils.tensorboard", "track"), ("mlflow", "alembic", "mlflow")]
)
def test_without_the_package_it_is_one_line(
    track: Any, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(UserError, match=rf"--track {track} needs {track}: pip install 'mtrl-torch\[{extra}\]'"):
        Tracker(Config(track=track), 0, tmp_path)


@pytest.mark.parametrize("track", [False, True])
def test_configurations_say_what_they_said(track: bool, tmp_path: Path) -> None:
    assert Config(track=track).model_dump(mode="json")["track"] is track
