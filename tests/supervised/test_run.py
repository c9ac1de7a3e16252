"""The frame: exact resume, what a run writes, which epochs count, what is compared where, and the one-line failures."""

import copy
import json
import os
import signal
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from mtrl import aggregation
from mtrl.aggregation.solvers.random_stream import random_key
from mtrl.benchmarks import MultiMNIST, SupervisedConfig
from mtrl.gradients import loss_gradients
from mtrl.report.metric_runs import parse_metric_result
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event, Logged
from mtrl.supervised import train
from mtrl.supervised.benchmark import Batch, Metric
from mtrl.supervised.benchmark_job import BenchmarkJob
from mtrl.supervised.benchmark_learner import BenchmarkLearner, Taken
from mtrl.supervised.run_config import (
    EvaluationConfig,
    OptimizerConfig,
    ScheduleConfig,
    SupervisedMethodConfig,
)
from mtrl.supervised.schedule import Schedule
from mtrl.supervised.selection import Selection
from tests.benchmarks.benchmark_of import benchmark_of
from tests.benchmarks.idx_files import write_idx_folder
from tests.existing import existing

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 64, "threads": 1}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_idx_folder(tmp_path_factory.mktemp("idx")))


def config(data: str, method: str = "nash_mtl", **fields: Any) -> SupervisedConfig:
    return SupervisedConfig(data=data, method=SupervisedMethodConfig(name=method), **(SMALL | fields))


def job(config: SupervisedConfig, seed: int = 0) -> BenchmarkJob:
    return BenchmarkJob(config, benchmark_of(config), seed, CPU)


def drive(job: BenchmarkJob, start: int, stop: int) -> list[Logged]:
    """Steps `start` to `stop` of the run, and the events of the epochs that end in between."""
    events: list[Logged] = []
    for step in range(start, stop):
        epoch, index = divmod(step, job.steps_per_epoch)
        job.step(epoch + 1, index)
        if index + 1 == job.steps_per_epoch:
            events += job.end_epoch(epoch + 1)
    return events


def lines(folder: Path) -> list[dict[str, Any]]:
    """Of `metrics.jsonl`, without what the clock says; without start lines."""
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in event.items() if k != "wall_s"} for event in read if event["kind"] != "start"]


METHODS = ["mean", "nash_mtl", "pcgrad", "famo", "moco", "grad_norm", "uncertainty_weighting", "grad_drop"]


@pytest.mark.parametrize("method", [*METHODS, "single_task"])
def test_resume_is_exact_in_the_middle_of_an_epoch(data: str, method: str, tmp_path: Path) -> None:
    """With dropout, momentum, a schedule, a validation split: 12 steps, or 6, a checkpoint on disk, and 6."""
    benchmark = MultiMNIST(validation_pairs=40)
    settings = config(
        data,
        method,
        batch_size=40,
        benchmark=benchmark,
        schedule=ScheduleConfig(kind="plateau", patience_epochs=0),
        evaluation=EvaluationConfig(select="best_validation"),
    )
    whole = job(settings)
    events = drive(whole, 0, 12)
    first = job(settings)
    before = drive(first, 0, 6)
    checkpoint.write(tmp_path / "state.pt", first.state_dict(), {})
    torch.manual_seed(1)  # what else the process drew does not matter
    second = job(settings)
    second.load_state_dict(checkpoint.read(tmp_path / "state.pt").tree)
    assert whole.steps_per_epoch == 4
    assert before + drive(second, 6, 12) == events
    assert second.result() == whole.result()
    for one, other in zip(whole.learners, second.learners, strict=True):
        for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_run_that_was_asked_to_stop_goes_on_to_the_same_bytes(data: str, tmp_path: Path) -> None:
    settings = config(data)
    straight = train(settings, 0, tmp_path / "straight")
    assert not straight.interrupted

    def stop(event: Event) -> None:
        if event["kind"] == "train":
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = train(settings, 0, tmp_path / "stopped", on_event=stop)
    assert stopped.interrupted
    assert stopped.evaluation is None
    assert not (tmp_path / "stopped" / "evaluation.json").exists()
    # A line of an epoch that the checkpoint does not know, as of a run that was killed, comes again.
    with (tmp_path / "stopped" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "train", "step": 999}) + '\n{"kind": "tr')
    resumed = train(settings, 0, tmp_path / "stopped", resume=True)
    assert lines(tmp_path / "stopped") == lines(tmp_path / "straight")
    assert straight.evaluation is not None
    assert resumed.evaluation is not None
    different = {key for key in straight.evaluation if straight.evaluation[key] != resumed.evaluation[key]}
    assert different <= {"wall_s"}
    # A finished run is evaluated again to the same bytes, not trained.
    before = (tmp_path / "stopped" / "evaluation.json").read_bytes()
    (tmp_path / "stopped" / "evaluation.json").unlink()
    train(settings, 0, tmp_path / "stopped", resume=True)
    assert (tmp_path / "stopped" / "evaluation.json").read_bytes() == before


def test_seeds_decide_all_and_leave_the_callers_random_numbers_alone(data: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (train(config(data), seed, tmp_path / name) for seed, name in ((0, "a"), (0, "b"), (1, "c")))
    assert torch.equal(torch.rand(3), expected)
    assert lines(one.folder) == lines(two.folder)
    assert lines(one.folder) != lines(other.folder)


def test_every_epoch_has_its_own_order_and_every_batch_its_own_random_numbers(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an epoch's losses and weights are means over its steps."""
    one = job(config(data))
    split, learner = one.data.train, one.learners[0]
    batches: list[list[int]] = []
    seeds: list[int] = []
    taken: list[Taken] = []

    class Watched:
        def __len__(self) -> int:
            return len(split)

        def batch(self, indices: torch.Tensor, generator: torch.Generator | None) -> Batch:
            batches.append(indices.tolist())
            seeds.append(existing(generator).initial_seed())
            return split.batch(indices, generator)

    def step(batch: Batch, measure: bool, seed: int) -> Taken:
        seeds.append(seed)
        taken.append(BenchmarkLearner.step(learner, batch, measure, seed))
        return taken[-1]

    one.data = one.data._replace(train=Watched())
    monkeypatch.setattr(learner, "step", step)
    events: list[Any] = [event for event in drive(one, 0, 8) if event["kind"] == "train"]
    first, second = ([*chain(*batches[part])] for part in (slice(4), slice(4, 8)))
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second
    assert len(set(seeds)) == 16
    for event, part in zip(events, (slice(4), slice(4, 8)), strict=True):
        of_epoch = {"loss": [step.losses for step in taken[part]], "weights": [step.weights for step in taken[part]]}
        for name, values in of_epoch.items():
            assert [*event[name].values()] == pytest.approx(torch.stack(values).mean(0).tolist())


def test_what_a_run_writes(data: str, tmp_path: Path) -> None:
    train(config(data), 0, tmp_path / "run")
    events = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["start"] + ["train", "evaluation"] * 3
    assert events[0]["data"]["source"].startswith("pairs of idx files (MD5 ")
    assert [event["step"] for event in events] == [0, 4, 4, 8, 8, 12, 12]
    for event in events[1::2]:
        for key in ("loss", "weights", "gradient_norm"):
            assert event[key].keys() == {"top_left", "bottom_right"}
            assert all(value > 0 for value in event[key].values())
        assert event["conflict_rate"] in (0.0, 1.0)
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["checkpoint"] == {"step": 12, "epoch": 3}
    assert {row["name"]: row["value"] for row in evaluation["metrics"]} == events[-1]["metrics"]
    assert parse_metric_result(evaluation).values.tolist() == [row["value"] for row in evaluation["metrics"]]
    assert len(list((tmp_path / "run" / "checkpoints").glob("*.pt"))) == 2


def test_the_mean_of_the_last_epochs_counts(data: str, tmp_path: Path) -> None:
    rule = EvaluationConfig(mean_last_epochs=2, every_epochs=3)
    evaluation = train(config(data, epochs=4, evaluation=rule), 0, tmp_path / "run").evaluation
    tested = [line for line in lines(tmp_path / "run") if line["kind"] == "evaluation"]
    assert [line["epoch"] for line in tested] == [3, 4]
    assert evaluation is not None
    assert evaluation["epochs_that_count"] == [[3, 4]]
    for row in evaluation["metrics"]:
        assert row["value"] == pytest.approx(sum(line["metrics"][row["name"]] for line in tested) / 2)


@pytest.mark.parametrize(("select", "validated"), [("last", [2, 3]), ("best_validation", [1, 2, 3])])
def test_a_validation_split_is_logged_like_the_test(data: str, select: Any, validated: list[int]) -> None:
    """In the epochs of `every_epochs` and in those that count; in all where it decides something."""
    rule = EvaluationConfig(every_epochs=2, select=select)
    one = job(config(data, "mean", benchmark=MultiMNIST(validation_pairs=180), evaluation=rule))
    events = [event for event in drive(one, 0, 3) if event["kind"] == "evaluation"]
    assert [event["epoch"] for event in events if event["split"] == "validation"] == validated
    assert {2} <= {event["epoch"] for event in events if event["split"] == "test"}


METRICS = (Metric("error", "a", higher_is_better=False), Metric("accuracy", "b", higher_is_better=True))


def values(error: float, accuracy: float) -> dict[str, float]:
    return {"error": error, "accuracy": accuracy}


def test_the_best_validation_epoch_counts_and_patience_ends() -> None:
    rule = EvaluationConfig(select="best_validation", patience_epochs=1)
    selection = Selection(rule, METRICS, None)
    # Against the first epoch: delta_m 0, -10 (error down by a fifth), +5, then +50.
    for epoch, (seen, score) in enumerate(
        [(values(1, 50), 0), (values(0.8, 50), -10), (values(1, 45), 5), (values(2, 50), 50)], start=1
    ):
        assert selection.validate(epoch, seen) == pytest.approx(score)
        assert selection.is_best(epoch) == (epoch <= 2)
        assert selection.is_stale(epoch) == (epoch == 4)
        selection.add(epoch, values(epoch, 10 * epoch))
    assert selection.result() == values(2, 20)
    assert selection.epochs == [2]


def test_what_is_zero_at_first_counts_too() -> None:
    """Else the first epoch of a task that nothing is right in would be its best for ever."""
    selection = Selection(EvaluationConfig(select="best_validation"), METRICS[1:], None)
    for epoch, accuracy in ((1, 0), (2, 0.5), (3, 0.25)):
        assert selection.validate(epoch, {"accuracy": accuracy}) == -100 * accuracy
        assert selection.is_best(epoch) == (epoch < 3)
    alike = [Metric(f"{i}", f"{i}", higher_is_better=True, unit="%") for i in range(3)]
    selection = Selection(EvaluationConfig(), [*alike, METRICS[0]], {"0": 0, "1": 60, "2": 20, "error": 0})
    # Of 40, the mean of its like, a quarter gained; half lost; nothing; an error of 3 where there was none.
    assert selection.validate(1, {"0": 10, "1": 30, "2": 20, "error": 3}) == pytest.approx((-25 + 50 + 300) / 4)


def test_early_stopping_ends_the_run(data: str, tmp_path: Path) -> None:
    settings = config(
        data,
        epochs=30,
        benchmark=MultiMNIST(validation_pairs=40),
        optimizer=OptimizerConfig(learning_rate=1e-9),  # nothing is learned: the first epoch stays the best
        evaluation=EvaluationConfig(select="best_validation", patience_epochs=2),
    )
    result = train(settings, 0, tmp_path / "run")
    assert result.evaluation is not None
    assert result.evaluation["checkpoint"]["epoch"] == 4
    assert result.evaluation["epochs_that_count"] == [[1]]
    assert train(settings, 0, tmp_path / "run", resume=True).step == result.step


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (ScheduleConfig(), [1, 1, 1, 1]),
        (ScheduleConfig(kind="step", every_epochs=2, factor=0.5), [1, 1, 0.5, 0.5]),
        (ScheduleConfig(kind="multi_step", milestones=(1, 3), factor=0.1), [1, 0.1, 0.1, 0.01]),
        (ScheduleConfig(kind="plateau", patience_epochs=0, factor=0.5, minimum=0.3e-9), [1, 1, 0.5, 0.3]),
    ],
)
def test_the_step_size_falls(data: str, schedule: ScheduleConfig, rates: list[float], tmp_path: Path) -> None:
    benchmark = MultiMNIST(validation_pairs=40)
    optimizer = OptimizerConfig(name="sgd", learning_rate=1e-9)
    train(config(data, epochs=4, benchmark=benchmark, optimizer=optimizer, schedule=schedule), 0, tmp_path / "run")
    found = [line["learning_rate"] for line in lines(tmp_path / "run") if line["kind"] == "train"]
    assert found == pytest.approx([1e-9 * rate for rate in rates])


@pytest.mark.parametrize("score", [50.0, 0.0, -50.0])
def test_a_plateau_is_one_whatever_the_scores_sign(score: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = Schedule(ScheduleConfig(kind="plateau", patience_epochs=1), optimizer)
    rates = []
    for change in (0, 0, 1e-9, -1e-6, 0, -1e-6, -1e-6):
        schedule.end_epoch(score + change)
        schedule.load_state_dict({**existing(schedule.state_dict()), "threshold": 1e-4})  # of 0.2.0
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def learner_and_batch(settings: SupervisedConfig, tasks: tuple[int, ...] = (0, 1)) -> tuple[BenchmarkLearner, Any]:
    benchmark = benchmark_of(settings)
    learner = BenchmarkLearner(settings, benchmark, tasks, CPU, 0)
    data = benchmark.data(Path(existing(settings.data)), 0)
    return learner, data.train.batch(torch.arange(32), None)


def test_features_are_where_mgda_ub_compares(data: str) -> None:
    """The weights are MGDA's at the representation, whole with its batch axis.

    The trunk takes the combination of the tasks' gradients with these weights.
    """
    plain = MultiMNIST(dropout=0.0)
    settings = config(data, "mgda", gradients="features", benchmark=plain, optimizer=OptimizerConfig(name="sgd"))
    learner, batch = learner_and_batch(settings)
    model = copy.deepcopy(learner.model)
    taken = learner.step(batch, measure=True, seed=0)

    representation = model.represent(batch.inputs)
    losses = plain.losses(model.predict(representation), batch)
    at_features = [torch.autograd.grad(loss, representation, retain_graph=True)[0] for loss in losses]
    flat = torch.stack([gradient.flatten() for gradient in at_features])
    weights = aggregation.MGDA()(flat @ flat.T)
    torch.testing.assert_close(taken.weights, weights)
    torch.testing.assert_close(existing(taken.measured).gradient_norm, flat.norm(dim=-1))
    by_name = {str(i): p for i, p in enumerate(model.shared_parameters())}
    gradients, _ = loss_gradients(losses, by_name)
    expected = gradients.combine(weights)
    for name, parameter in zip(by_name, learner.shared, strict=True):
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)


def test_gradients_that_are_logged_are_the_same_whatever_the_method(data: str) -> None:
    found = []
    for method in ("mean", "nash_mtl", "grad_drop"):
        learner, batch = learner_and_batch(config(data, method))
        found.append(learner.step(batch, measure=True, seed=0).measured)
    for other in found[1:]:
        torch.testing.assert_close(found[0], other)


def test_a_single_task_model_learns_its_task_alone(data: str) -> None:
    settings = config(data, "single_task")
    learners = job(settings).learners
    assert [learner.tasks for learner in learners] == [(0,), (1,)]
    for a, b in zip(learners[0].model.parameters(), learners[1].model.parameters(), strict=True):
        assert torch.equal(a, b)
    learner, batch = learner_and_batch(settings, (1,))
    before = copy.deepcopy(learner.model)
    learner.step(batch, measure=False, seed=0)
    for name, parameter in learner.model.named_parameters():
        same = torch.equal(parameter, dict(before.named_parameters())[name])
        assert same == name.startswith("heads.0.")


def test_a_single_task_model_is_measured_on_its_task(data: str) -> None:
    """Each of these says one digit, whatever it sees."""
    one, says = job(config(data, "single_task")), (3, 5)
    for learner, digit in zip(one.learners, says, strict=True):
        with torch.no_grad():
            for task in range(2):
                learner.model.get_parameter(f"heads.{task}.3.bias")[digit] = 1e4
    labels = one.data.test.batch(torch.arange(50), None).targets
    shares = [[100 * float((of_task == digit).double().mean()) for digit in says] for of_task in labels.unbind(1)]
    assert shares[1][0] != shares[1][1]
    (measured,) = [event["metrics"] for event in one.end_epoch(1) if event["kind"] == "evaluation"]
    assert [*measured.values()] == pytest.approx([shares[0][0], shares[1][1]])


@pytest.mark.parametrize("method", ["grad_drop", "grad_vac", "pcgrad", "random_loss_weighting"])
def test_the_runs_seed_decides_what_a_method_draws(data: str, method: str) -> None:
    def keys(**arguments: int) -> list[int]:
        settings = config(data).model_copy(update={"method": SupervisedMethodConfig(name=method, **arguments)})
        learners = [BenchmarkLearner(settings, benchmark_of(settings), (0, 1), CPU, seed) for seed in (0, 0, 1)]
        return [int(learner.method.get_buffer("key")) for learner in learners]

    one, same, other = keys()
    assert one == same != other
    assert keys(seed=5) == [int(random_key(5))] * 3


def test_losses_before_and_after_a_step_have_the_same_dropout(data: str) -> None:
    """A step of no length: FAMO, which learns from how far losses fell, learns nothing."""
    still = config(data, "famo", optimizer=OptimizerConfig(name="sgd", learning_rate=1e-30))
    learner, batch = learner_and_batch(still)
    for seed in range(2):
        learner.step(batch, measure=False, seed=seed)
    assert not learner.method.get_buffer("logits")[0].any()


@pytest.mark.parametrize(
    ("settings", "peer"),
    [
        (OptimizerConfig(name="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.1), torch.optim.SGD),
        (OptimizerConfig(learning_rate=0.1, weight_decay=0.1), torch.optim.Adam),
    ],
)
def test_the_optimizer_is_the_one_that_was_asked_for(data: str, settings: OptimizerConfig, peer: Any) -> None:
    learner, batch = learner_and_batch(config(data, "mean", optimizer=settings))
    expected = [p.detach().clone() for p in learner.model.parameters()]
    momentum = {"momentum": settings.momentum} if settings.name == "sgd" else {}
    optimizer = peer(expected, lr=settings.learning_rate, weight_decay=settings.weight_decay, **momentum)
    for seed in range(2):
        learner.step(batch, measure=False, seed=seed)
        for ours, p in zip(expected, learner.model.parameters(), strict=True):
            ours.grad = p.grad
        optimizer.step()
    torch.testing.assert_close([*learner.model.parameters()], expected)


def test_the_trunks_gradient_is_clipped(data: str) -> None:
    settings = config(data, optimizer=OptimizerConfig(name="sgd", max_grad_norm=0.01))
    learner, batch = learner_and_batch(settings)
    learner.step(batch, measure=False, seed=0)
    assert torch.stack([existing(p.grad).norm() for p in learner.shared]).norm() == pytest.approx(0.01, rel=1e-4)


def test_failures_are_one_line(data: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(UserError, match=r"nowhere is no folder"):
        train(config(str(tmp_path / "nowhere")), 0, folder)
    for fields in (
        {"schedule": ScheduleConfig(kind="plateau")},
        {"evaluation": EvaluationConfig(select="best_validation")},
        {"evaluation": EvaluationConfig(patience_epochs=1)},
    ):
        with pytest.raises(UserError, match="need a validation split, and multimnist has none here"):
            train(config(data, **fields), 0, folder)
    assert not folder.exists()
    train(config(data, epochs=1), 0, folder)
    with pytest.raises(UserError, match="exists and is never overwritten: add --resume"):
        train(config(data, epochs=1), 0, folder)
    with pytest.raises(UserError, match="another config: batch_size is 64 there and 32 here"):
        train(config(data, epochs=1, batch_size=32), 0, folder, resume=True)
    huge = OptimizerConfig(name="sgd", learning_rate=1e30)
    with pytest.raises(UserError, match="the loss of task top_left is not finite") as caught:
        train(config(data, "mean", optimizer=huge), 0, tmp_path / "huge")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("broken", [0, -1])
def test_a_model_that_has_diverged_has_no_accuracy(data: str, broken: int) -> None:
    """Not even with one number that is none, of one task."""
    one = job(config(data))
    with torch.no_grad():
        [*one.learners[0].model.parameters()][broken].view(-1)[0] = torch.nan
    with pytest.raises(UserError, match=r"^an output is not finite: the model has diverged, stopped$"):
        one.end_epoch(1)


def test_a_longer_budget_continues(data: str, tmp_path: Path) -> None:
    train(config(data, epochs=2), 0, tmp_path / "short")
    train(config(data, epochs=3), 0, tmp_path / "short", resume=True)
    train(config(data, epochs=3), 0, tmp_path / "long")
    assert lines(tmp_path / "short") == lines(tmp_path / "long")
