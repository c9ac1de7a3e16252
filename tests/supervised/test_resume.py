"""What a supervised run goes on with: its own data wherever they lie, and no fewer epochs than it has."""

import gzip
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mtrl.benchmarks import SupervisedConfig
from mtrl.benchmarks.multimnist.idx import FILES
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event
from mtrl.runs.folder import load_config
from mtrl.supervised import train
from mtrl.supervised.run_config import EvaluationConfig, SupervisedMethodConfig
from mtrl.sweep import Trial, reach
from tests.benchmarks.idx_files import idx, write_idx_folder
from tests.existing import existing
from tests.runs.small_runs import newest, rewritten


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx_folder(tmp_path_factory.mktemp("idx"), train=40, test=10)


def config(data: Path, out: Path, epochs: int = 1, **fields: Any) -> SupervisedConfig:
    method = SupervisedMethodConfig(name="mean")
    return SupervisedConfig(
        data=str(data), out=str(out), epochs=epochs, method=method, batch_size=20, threads=1, device="cpu", **fields
    )


def evaluation(settings: SupervisedConfig) -> dict[str, Any]:
    return existing(train(settings, 0, settings.folders[0], resume=True).evaluation)


def test_a_run_goes_on_with_its_own_data_alone(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first = evaluation(config(data, out))
    told = f"the run was trained on {first['data']['source']} (40/-/10 examples), got "
    for name, size in (("more", 60), ("others", 40)):  # of as many, too
        others = write_idx_folder(tmp_path / name, train=size, test=10)
        (others / f"{FILES['train'][1]}.gz").write_bytes(gzip.compress(idx(torch.arange(size) % 10)))
        for epochs in (1, 2):  # finished, and to be gone on with
            with pytest.raises(UserError, match=rf"^data: {re.escape(told)}.* \({size}/-/10 examples\)$"):
                train(config(others, out, epochs), 0, config(data, out).folders[0], resume=True)
    assert load_config(config(data, out).folders[0], SupervisedConfig).data == str(data)
    assert evaluation(config(data, out)) == first


def test_the_same_data_may_lie_elsewhere(data: Path, tmp_path: Path) -> None:
    moved = write_idx_folder(tmp_path / "moved to" / "mnist", train=40, test=10).parent
    evaluation(config(data, tmp_path / "moved"))
    evaluation(config(data, tmp_path / "left"))
    found = evaluation(config(moved, tmp_path / "moved", 2)), evaluation(config(data, tmp_path / "left", 2))
    assert found[0]["metrics"] == found[1]["metrics"]
    assert found[0]["data"] == found[1]["data"]


def test_a_checkpoint_that_does_not_tell_of_its_data_is_gone_on_with(data: Path, tmp_path: Path) -> None:
    settings = config(data, tmp_path)
    evaluation(settings)
    state = checkpoint.read(newest(settings.folders[0])).tree
    del state["job"]["data"]
    rewritten(settings.folders[0], state)
    assert evaluation(config(data, tmp_path, 2))["checkpoint"]["epoch"] == 2


def stopped(settings: SupervisedConfig, epoch: int) -> None:
    """The run, stopped after an epoch."""

    def stop(event: Event) -> None:
        if event["kind"] == "train" and event["epoch"] == epoch:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(settings, 0, settings.folders[0], on_event=stop).interrupted


def measured(settings: SupervisedConfig) -> list[int]:
    text = (settings.folders[0] / "metrics.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    return [event["epoch"] for event in events if event["kind"] == "evaluation"]


def test_a_run_does_not_end_before_where_it_is(data: Path, tmp_path: Path) -> None:
    settings = config(data, tmp_path, 9)
    stopped(settings, 3)
    with pytest.raises(UserError, match=r"^epochs must be at least 3, which the run has begun, got 2$"):
        evaluation(config(data, tmp_path, 2))
    assert load_config(settings.folders[0], SupervisedConfig).epochs == 9
    assert evaluation(config(data, tmp_path, 3))["epochs_that_count"] == [[3]]
    assert reach.is_finished(Trial(config(data, tmp_path, 3)), "all")
    assert not reach.is_finished(Trial(config(data, tmp_path, 2)), "all")


def test_a_run_that_ends_where_it_is_is_measured_there(data: Path, tmp_path: Path) -> None:
    """As one that was to end there, and once."""
    rarely = EvaluationConfig(every_epochs=2)
    settings = config(data, tmp_path / "late", 3, evaluation=rarely)
    stopped(config(data, tmp_path / "late", 9, evaluation=rarely), 3)
    late = evaluation(settings)
    straight = evaluation(config(data, tmp_path / "straight", 3, evaluation=rarely))
    assert {key for key in late if late[key] != straight[key]} <= {"wall_s"}
    assert evaluation(settings) == late
    assert measured(settings) == [2, 3]


def test_epochs_that_count_are_measured_or_refused(data: Path, tmp_path: Path) -> None:
    rule = EvaluationConfig(every_epochs=9, mean_last_epochs=2)
    stopped(config(data, tmp_path, 9, evaluation=rule), 3)
    why = "of the last 2 (evaluation.mean_last_epochs) epoch 2 was not measured"
    with pytest.raises(UserError) as caught:
        evaluation(config(data, tmp_path, 3, evaluation=rule))
    assert str(caught.value) == f"epochs must be at least 4, got 3: {why}"
    assert evaluation(config(data, tmp_path, 4, evaluation=rule))["epochs_that_count"] == [[3, 4]]


def test_a_trial_is_finished_with_the_data_it_was_made_with(data: Path, tmp_path: Path) -> None:
    moved = write_idx_folder(tmp_path / "moved", train=40, test=10)
    settings = config(data, tmp_path)
    evaluation(settings)
    assert reach.is_finished(Trial(settings), "all")
    elsewhere = Trial(config(moved, tmp_path))
    assert not reach.is_finished(elsewhere, "all")
    evaluation(config(moved, tmp_path))  # which trains nothing
    assert reach.is_finished(elsewhere, "all")
