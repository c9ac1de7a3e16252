"""The benchmark: split, standardised targets, units, losses, and a run from the config."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mtrl.benchmarks.qm9 import QM9
from mtrl.benchmarks.qm9.files import read_folder
from mtrl.benchmarks.qm9.molecules import COLUMNS
from mtrl.benchmarks.qm9.split import MoleculeSplit
from mtrl.runs.errors import UserError
from mtrl.supervised.benchmark import Batch, Split
from tests.benchmarks.qm9.raw_sample import write
from tests.existing import existing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("qm9"), 60)


def everything(split):
    return split.batch(torch.arange(len(split)), None)


def targets_of(split: Split | None) -> Tensor:
    """Of all molecules, as they were read."""
    assert isinstance(split, MoleculeSplit)
    return split.molecules.targets


def test_the_split_is_a_partition_that_follows_the_seed(folder):
    data = QM9(test=7, validation=5).data(folder, seed=3)
    parts = (data.test, existing(data.validation), data.train)
    assert [len(part) for part in parts] == [7, 5, 48]
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    all_targets = read_folder(folder).targets
    assert torch.equal(torch.cat([targets_of(part) for part in parts]), all_targets[order])
    other = QM9(test=7, validation=5).data(folder, seed=4)
    assert not torch.equal(targets_of(other.test), targets_of(data.test))
    again = QM9(test=7, validation=5).data(folder, seed=3)
    assert torch.equal(targets_of(again.test), targets_of(data.test))


def test_targets_are_standardised_by_the_training_molecules_alone(folder):
    data = QM9(test=7, validation=5).data(folder, seed=0)
    train = everything(data.train).targets
    assert_close(train.mean(0), torch.zeros(11), atol=1e-5, rtol=0)
    assert_close(train.std(0), torch.ones(11), atol=1e-5, rtol=0)
    raw = targets_of(data.train)
    for split in (data.validation, data.test):
        targets = everything(split).targets
        assert_close(targets, (targets_of(split) - raw.mean(0)) / raw.std(0))
        assert targets.mean(0).abs().max() > 0.05  # by its own mean it would be 0


def test_the_source_says_subset_and_sizes(folder):
    data = QM9().data(folder, seed=0)
    assert data.source == "QM9 subset of 60 molecules (48/6/6 for training, validation, test)"
    assert not data.is_full


def test_published_baselines_are_for_the_papers_network_and_split_alone():
    published = QM9().published_single_task
    assert published is not None
    assert list(published.values())[:4] == [0.0671, 0.1814, 60.576, 53.915]
    assert QM9(test=10_000, validation=10_000).published_single_task == published
    for other in (QM9(width=32), QM9(edge_width=64), QM9(test=1500), QM9(validation=1500)):
        assert other.published_single_task is None


def test_perfect_predictions_have_no_error(folder):
    benchmark = QM9()
    split = benchmark.data(folder, seed=0).test
    meter, batch = benchmark.meter(split), everything(split)
    meter.update(batch.targets.unbind(1), batch)
    assert set(meter.result().values()) == {0.0}
    assert all(float(loss) == 0 for loss in benchmark.losses(batch.targets.unbind(1), batch))


def test_errors_are_in_the_papers_units_and_pooled_over_batches(folder):
    benchmark = QM9(test=9)
    split = benchmark.data(folder, seed=0).test
    assert isinstance(split, MoleculeSplit)
    meter = benchmark.meter(split)
    units = {"mu": "D", "alpha": "a0^3", "r2": "a0^2", "cv": "cal/(mol K)"}  # the others are read in eV
    outputs = torch.randn(9, 11, generator=torch.Generator().manual_seed(0))
    for rows in (torch.arange(0, 7), torch.arange(7, 9)):
        meter.update(outputs[rows].unbind(1), split.batch(rows, None))
    predictions = outputs * split.scale + split.mean
    expected = (predictions - split.molecules.targets).abs().mean(0)
    for i, (task, metric) in enumerate(zip(COLUMNS, benchmark.metrics, strict=True)):
        assert metric.name == f"{task}_mae"
        assert not metric.higher_is_better
        assert metric.unit == units.get(task, "meV")
        value = meter.result()[metric.name]
        assert_close(value, float(expected[i]) * (1 if task in units else 1000), rtol=1e-4, atol=1e-4)


def test_each_loss_is_of_its_own_target():
    outputs = [torch.full((4,), float(i)) for i in range(11)]
    losses = QM9().losses(outputs, Batch(None, torch.ones(4, 11)))
    assert [float(loss) for loss in losses] == [(i - 1) ** 2 for i in range(11)]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (QM9(test=50, validation=10), "benchmark.test 50 and benchmark.validation 10 must leave molecules"),
        (QM9(test=50, validation=9), "vary over the 1 training molecules"),
    ],
)
def test_splits_that_leave_too_little_are_refused(folder, section, said):
    with pytest.raises(UserError, match=said):
        section.data(folder, seed=0)


def test_without_files_it_says_which():
    with pytest.raises(UserError, match=r"gdb9\.sdf, gdb9\.sdf\.csv, uncharacterized\.txt"):
        QM9().data(None, seed=0)


@pytest.fixture(scope="module")
def real():
    folder = Path(os.environ.get("MTRL_DATA", "")) / "qm9"
    if not (os.environ.get("MTRL_DATA") and folder.is_dir()):
        pytest.skip("MTRL_DATA names no folder with QM9 in qm9/")
    return folder


def test_real_molecules_have_four_dead_features_and_a_dead_bond(real):
    """torch_geometric reads with sanitize=False: aromatic, sp, sp2 and sp3 are 0, and no bond is aromatic."""
    train = QM9().data(real, seed=0).train
    graphs = everything_of(train, 2000).inputs
    assert not graphs.atoms[..., 6:10].any()
    assert not graphs.edges[..., 3].any()
    alive = [*range(4), 5, 10]  # fluorine is rare
    assert graphs.atoms[..., alive].flatten(0, 1).any(0).all()
    assert torch.equal(graphs.edges, graphs.edges.transpose(1, 2))
    distances = graphs.edges[..., 4][graphs.present[:, :, None] & graphs.present[:, None]]
    assert 0.9 < distances[distances > 0].min() < 1.1
    assert distances.max() < 15


def everything_of(split, count):
    return split.batch(torch.arange(min(count, len(split))), None)
