"""MultiMNIST: pictures as the papers build them, the network's size, files that cannot be used, accuracy reached."""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mtrl.benchmarks import MultiMNIST, SupervisedConfig
from mtrl.benchmarks.download import md5_of
from mtrl.benchmarks.multimnist.idx import FILES, Images
from mtrl.benchmarks.multimnist.images import BUNDLED, DIGESTS, bundled_images
from mtrl.benchmarks.multimnist.lenet import LeNet
from mtrl.benchmarks.multimnist.pairs import MEAN, STD, Pairs, make_pairs
from mtrl.runs.errors import UserError
from mtrl.supervised import train
from mtrl.supervised.benchmark import Batch, Data
from mtrl.supervised.benchmark_job import measure
from mtrl.supervised.run_config import OptimizerConfig
from tests.benchmarks.idx_files import idx, write_idx_folder
from tests.existing import existing

DATA = os.environ.get("MTRL_DATA", "")
CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_images(count: int) -> Images:
    labels = torch.randint(10, (count,), generator=generator(1))
    return Images(torch.randint(256, (count, 28, 28), generator=generator(2)).byte(), labels, ())


def pictures(data: Data) -> Tensor:
    """Of the pairs for training, as they were made."""
    assert isinstance(data.train, Pairs)
    return data.train.pictures


@pytest.mark.parametrize("size", [36, 28])
def test_pictures_are_built_pixel_by_pixel_as_published(size: Literal[28, 36]) -> None:
    first, second = some_images(7), some_images(5)
    pairs = make_pairs(first, second, 2, size, generator())
    assert len(pairs) == 14
    rights = torch.randint(5, (14,), generator=generator())
    for n in range(14):
        left, right = n % 7, int(rights[n])
        assert pairs.labels[n].tolist() == [first.labels[left], second.labels[right]]
        for row in range(size):
            for column in range(size):
                # PIL's nearest pixel: the one whose centre is nearest to the centre of the new pixel.
                y, x = (int((k + 0.5) * 36 / size) for k in (row, column))
                here = [0]
                if y < 28 and x < 28:
                    here.append(int(first.pixels[left, y, x]))
                if 6 <= y < 34 and 6 <= x < 34:
                    here.append(int(second.pixels[right, y - 6, x - 6]))
                assert pairs.pictures[n, row, column] == max(here)


def test_nearest_pixel_is_pils() -> None:
    pairs = make_pairs(some_images(1), some_images(1), 1, 36, generator())
    small = make_pairs(some_images(1), some_images(1), 1, 28, generator())
    resized = Image.fromarray(pairs.pictures[0].numpy()).resize((28, 28), Image.Resampling.NEAREST)
    assert torch.equal(torch.from_numpy(np.array(resized)), small.pictures[0])


def test_a_batch_is_normalised_and_the_pairs_do_not_depend_on_the_run(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path)
    one, two = (MultiMNIST().data(folder, seed) for seed in (0, 1))
    indices = torch.tensor([3, 1])
    batch = one.train.batch(indices, generator())
    assert batch.inputs.shape == (2, 1, 28, 28)
    torch.testing.assert_close(batch.inputs[:, 0], (pictures(one)[indices] / 255 - MEAN) / STD)
    assert torch.equal(pictures(one), pictures(two))
    other = MultiMNIST(pair_seed=1).data(folder, 0)
    assert not torch.equal(pictures(other), pictures(one))


@pytest.mark.parametrize(("size", "parameters"), [(28, 27_450), (36, 47_450)])
def test_the_network_has_the_papers_size(size: int, parameters: int) -> None:
    model = LeNet(size, 2, 0.5)
    assert sum(p.numel() for p in model.parameters()) == parameters
    representation = model.represent(torch.zeros(3, 1, size, size))
    assert representation.shape == (3, 50)
    assert [logits.shape for logits in model.predict(representation)] == [(3, 10), (3, 10)]


def test_dropout_drops_channels_and_keeps_their_mean() -> None:
    torch.manual_seed(0)
    model = LeNet(28, 2, 0.5).train()
    dropout = model.trunk[4]
    maps = dropout(torch.ones(200, 20, 8, 8))
    assert set(maps.flatten(2).std(-1).flatten().tolist()) == {0.0}
    assert maps.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(model.eval().trunk[4](maps), maps)


def test_perfect_predictions_have_no_error_and_an_uneven_last_batch_counts_as_what_it_is(tmp_path: Path) -> None:
    benchmark = MultiMNIST()
    data = benchmark.data(write_idx_folder(tmp_path, test=50), 0)
    meter = benchmark.meter(data.test)
    right = data.test.batch(torch.arange(50), None)
    for rows in torch.arange(50).split(48):
        targets = right.targets[rows]
        logits = [torch.nn.functional.one_hot(labels, 10).float() for labels in targets.unbind(-1)]
        if len(rows) == 2:
            logits[0] = -logits[0]
        meter.update(logits, Batch(right.inputs[rows], targets))
    assert meter.result() == {"top_left_accuracy": pytest.approx(96.0), "bottom_right_accuracy": 100.0}
    perfect = [-torch.nn.functional.one_hot(labels, 10) * -100.0 for labels in right.targets.unbind(-1)]
    assert max(loss.item() for loss in benchmark.losses(perfect, right)) == pytest.approx(0, abs=1e-6)


def test_what_the_data_are_called(tmp_path: Path) -> None:
    bundled = MultiMNIST(validation_pairs=100).data(None, 0)
    assert bundled.source == f"pairs of {BUNDLED}"
    assert [len(existing(split)) for split in (bundled.train, bundled.validation, bundled.test)] == [14_270, 100, 3_600]
    own = MultiMNIST().data(write_idx_folder(tmp_path), 0)
    assert re.fullmatch(
        r"pairs of idx files \(MD5 [0-9a-f]{8}\) that are not the published \.gz files of MNIST", own.source
    )
    assert MultiMNIST().data(write_idx_folder(tmp_path / "again"), 0).source == own.source
    assert MultiMNIST().data(write_idx_folder(tmp_path / "other", test=49), 0).source != own.source
    assert not bundled.is_full
    assert not own.is_full


def test_published_files_are_known_by_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx_folder(tmp_path)
    names = (*FILES["train"], *FILES["test"])
    monkeypatch.setitem(DIGESTS, "mnist", tuple(md5_of(tmp_path / f"{name}.gz") for name in names))
    data = MultiMNIST().data(tmp_path, 0)
    assert (data.source, data.is_full) == ("pairs of MNIST", True)
    with pytest.raises(UserError, match=r"expected Fashion-MNIST, got MNIST: choose it with --benchmark\.images$"):
        MultiMNIST(images="fashion_mnist").data(tmp_path, 0)


def test_the_mixed_pair_takes_both_folders(tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "fashion_mnist", train=60)
    write_idx_folder(tmp_path / "mnist", train=30)
    data = MultiMNIST(images="mixed").data(tmp_path, 0)
    assert len(data.train) == 60
    assert "not the published .gz files of Fashion-MNIST over idx files" in data.source


def test_published_metrics_are_for_the_papers_network_alone() -> None:
    assert MultiMNIST(pair_seed=3).published_single_task == {"top_left_accuracy": 97.23, "bottom_right_accuracy": 95.9}
    for field in ({"size": 36}, {"dropout": 0.0}, {"images": "mixed"}, {"validation_pairs": 10}):
        assert MultiMNIST(**field).published_single_task is None


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def _change(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = folder / name
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


BAD = {
    "missing": (
        lambda f: (f / TRAIN_LABELS).unlink(),
        TRAIN_LABELS,
        "is missing; expected in that folder: train-",
    ),
    "cut gzip": (
        lambda f: (f / TRAIN_IMAGES).write_bytes((f / TRAIN_IMAGES).read_bytes()[:-900]),
        TRAIN_IMAGES,
        "expected a whole gzip file, but it is damaged",
    ),
    "no gzip": (lambda f: (f / TRAIN_IMAGES).write_bytes(b"<html>"), TRAIN_IMAGES, "damaged (Not a gzipped file"),
    "flipped bytes": (
        lambda f: (f / TRAIN_IMAGES).write_bytes((b := (f / TRAIN_IMAGES).read_bytes())[:900] + b"xxxx" + b[904:]),
        TRAIN_IMAGES,
        "damaged",
    ),
    "another file": (
        lambda f: (f / TRAIN_IMAGES).write_bytes((f / TRAIN_LABELS).read_bytes()),
        TRAIN_IMAGES,
        "expected an idx file that begins with 00 00 08 03, got 00 00 08 01",
    ),
    "too short": (lambda f: _change(f, TRAIN_IMAGES, lambda b: b[:-1]), TRAIN_IMAGES, "expected 156,800 bytes for its"),
    "too long": (
        lambda f: _change(f, TRAIN_LABELS, lambda b: b + b"0"),
        TRAIN_LABELS,
        "expected 200 bytes for its",
    ),
    "other count": (
        lambda f: (f / TRAIN_LABELS).write_bytes(gzip.compress(idx(torch.zeros(150)))),
        TRAIN_LABELS,
        "expected a label for each of 200 images, got 150",
    ),
    "other size": (
        lambda f: (f / TRAIN_IMAGES).write_bytes(gzip.compress(idx(torch.zeros(200, 8, 8)))),
        TRAIN_IMAGES,
        "expected images of 28x28 pixels, got 8x8",
    ),
    "label": (
        lambda f: (f / TRAIN_LABELS).write_bytes(gzip.compress(idx(torch.full((200,), 10)))),
        TRAIN_LABELS,
        "expected labels from 0 to 9, got 10",
    ),
    "empty": (
        lambda f: [
            (f / TRAIN_LABELS).write_bytes(gzip.compress(idx(torch.zeros(0)))),
            (f / TRAIN_IMAGES).write_bytes(gzip.compress(idx(torch.zeros(0, 28, 28)))),
        ],
        TRAIN_IMAGES,
        "expected images, got none",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_with_the_path(case: str, tmp_path: Path) -> None:
    damage, name, expected = BAD[case]
    damage(write_idx_folder(tmp_path))
    with pytest.raises(UserError) as caught:
        MultiMNIST().data(tmp_path, 0)
    line = str(caught.value)
    assert line.startswith(str(tmp_path / name))
    assert expected in line
    assert "\n" not in line


def test_no_folder_and_too_many_held_out_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is no folder; expected one with the idx files of MNIST"):
        MultiMNIST().data(tmp_path / "nowhere", 0)
    with pytest.raises(UserError, match=r"benchmark\.images mixed needs the idx files: --data names their folder"):
        MultiMNIST(images="mixed").data(None, 0)
    with pytest.raises(UserError, match=r"validation_pairs must be below 200, got 200"):
        MultiMNIST(validation_pairs=200).data(write_idx_folder(tmp_path), 0)


def test_plain_files_are_read_too(tmp_path: Path) -> None:
    write_idx_folder(tmp_path)
    before = MultiMNIST().data(tmp_path, 0)
    for path in tmp_path.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert torch.equal(pictures(MultiMNIST().data(tmp_path, 0)), pictures(before))


def test_the_bundled_digits_are_learned(tmp_path: Path) -> None:
    """A real result without any file: four epochs, seconds."""
    config = SupervisedConfig(
        epochs=4,
        threads=1,
        benchmark=MultiMNIST(dropout=0.0),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.05),
    )
    evaluation = train(config, 0, tmp_path / "run").evaluation
    assert evaluation is not None
    assert evaluation["data"]["source"] == f"pairs of {BUNDLED}"
    assert all(row["value"] > 75 for row in evaluation["metrics"])
    images, _, _ = bundled_images()
    assert images.pixels.shape == (1437, 28, 28)
    assert images.pixels.max() == 255


def test_metrics_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    benchmark = MultiMNIST()
    data = benchmark.data(write_idx_folder(tmp_path), 0)
    torch.manual_seed(0)
    model = benchmark.model()
    assert measure(benchmark, model, data.test, 7, CPU) == measure(benchmark, model, data.test, 50, CPU)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA and (Path(DATA) / "mnist").is_dir()), reason="MTRL_DATA names no folder with mnist/")
def test_real_mnist_within_five_epochs(tmp_path: Path) -> None:
    """Uniform weights, no dropout: above 0.95 and 0.93."""
    config = SupervisedConfig(
        data=DATA,
        threads=2,
        epochs=5,
        benchmark=MultiMNIST(dropout=0.0),
        optimizer=OptimizerConfig(name="sgd", learning_rate=0.05),
    )
    evaluation = train(config, 0, tmp_path / "run").evaluation
    assert evaluation is not None
    assert evaluation["data"] == {
        "source": "pairs of MNIST",
        "train": 60_000,
        "validation": None,
        "test": 10_000,
        "is_full": True,
    }
    left, right = (row["value"] for row in evaluation["metrics"])
    assert left > 95
    assert right > 93
