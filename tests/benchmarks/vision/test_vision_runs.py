"""Each benchmark trains and evaluates from its committed config, on a stand-in that is named as such."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mtrl.benchmarks import SupervisedConfig, standin
from mtrl.benchmarks.vision import CelebA, NYUv2
from mtrl.benchmarks.vision.scene_tasks import Targets
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.supervised import train
from mtrl.supervised.streams import FIRST_PARAMETERS, seed_of
from tests.benchmarks.benchmark_of import benchmark_of
from tests.benchmarks.vision.conftest import SIZES
from tests.benchmarks.vision.small import SMALL, load

LARGER = {"width": 8, "image_size": 64}


def short(name: str, folder: Path, **changes: Any) -> SupervisedConfig:
    return load(name, data=str(folder / name.partition("-")[0]), epochs=2, batch_size=4, **changes)


@pytest.mark.parametrize("name", SMALL)
def test_trains_and_evaluates(name: str, stand_ins: Path, tmp_path: Path) -> None:
    config = short(name, stand_ins)
    done = train(config, 0, tmp_path / "run")
    assert done.step == 4
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert written["data"]["source"].startswith("stand-in for ")
    assert not written["data"]["is_full"]
    assert [m["name"] for m in written["metrics"]] == [m.name for m in benchmark_of(config).metrics]
    assert all(0 <= m["value"] <= 100 for m in written["metrics"] if m["unit"] == "%")


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_of_one_is_refused_where_the_network_needs_two(name: str, stand_ins: Path) -> None:
    config = short(name, stand_ins).model_copy(update={"batch_size": 7})
    if name in ("celeba-famo", "cityscapes3"):
        why = "batch_size 7 leaves a batch of one of 8 examples, and this network's batch normalisation needs two"
        with pytest.raises(UserError, match=f"^{why}$"):
            config.job(0, torch.device("cpu"))
    else:
        config.job(0, torch.device("cpu")).step(1, 1)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("nyuv2", {"gradients": "features"}),
        ("nyuv2", {"benchmark": {"network": "mtan_published"}}),
        ("nyuv2", {"benchmark": {"network": "segnet"}, "method": {"name": "single_task"}}),
        ("cityscapes3", {"benchmark": {"label_stride": 8, "held_out": 2}, "gradients": "parameters"}),
        ("celeba", {"gradients": "parameters", "chunk_size": 1}),
    ],
)
def test_other_choices_train_every_parameter(
    name: str, changes: dict[str, Any], stand_ins: Path, tmp_path: Path
) -> None:
    config = short(name, stand_ins, **changes)
    train(config, 0, tmp_path / "run")
    state = checkpoint.load_newest(tmp_path / "run" / "checkpoints")
    torch.manual_seed(seed_of(0, FIRST_PARAMETERS))
    first = dict(benchmark_of(config).model().named_parameters())
    learned = [learner["model"] for learner in find(state, "learners")]
    assert len(learned) == (len(benchmark_of(config).tasks) if config.method.name == "single_task" else 1)
    for task, parameters in enumerate(learned):
        still = {name for name, p in first.items() if torch.equal(p, parameters[name])}
        others = {name for name in first if name.startswith("heads.") and not name.startswith(f"heads.{task}.")}
        assert still == (others if len(learned) > 1 else set())


def find(tree: dict[str, Any], key: str) -> Any:
    """The value of a key, however deep."""
    if key in tree:
        return tree[key]
    found = (find(branch, key) for branch in tree.values() if isinstance(branch, dict))
    return next((value for value in found if value is not None), None)


@pytest.mark.slow
def test_attributes_are_learned(tmp_path: Path) -> None:
    """The stand-in's attributes can be seen: few errors are left of those of the most frequent answer."""
    standin.generate("celeba", tmp_path / "data", seed=1, count=400, size=64)
    adam = {"name": "adam", "learning_rate": 1e-3}
    config = load("celeba", data=str(tmp_path / "data"), epochs=12, batch_size=32, optimizer=adam, benchmark=LARGER)
    test = benchmark_of(config).data(tmp_path / "data", 0).test
    share = test.batch(torch.arange(len(test)), None).targets.double().mean(0)
    done = train(config, 0, tmp_path / "run")
    assert done.evaluation is not None
    errors = [metric["value"] for metric in done.evaluation["metrics"]]
    assert sum(errors) / len(errors) < 0.4 * float(100 * torch.minimum(share, 1 - share).mean())


@pytest.mark.slow
def test_rooms_are_learned(tmp_path: Path) -> None:
    """All three tasks are done better than by the best constant answer."""
    standin.generate("nyuv2", tmp_path / "data", seed=1, count=150, size=48)
    changes = {"batch_size": 5, "optimizer": {"name": "adam", "learning_rate": 1e-3}}
    config = load(
        "nyuv2",
        data=str(tmp_path / "data"),
        epochs=12,
        benchmark={"width": 8, "image_height": 32, "image_width": 64},
        evaluation={"mean_last_epochs": 3},
        **changes,
    )
    data = benchmark_of(config).data(tmp_path / "data", 0)
    train_targets, test = (split.batch(torch.arange(len(split)), None) for split in (data.train, data.test))
    meter = benchmark_of(config).meter(data.test)
    meter.update(constant(train_targets.targets, len(data.test)), test)
    best = meter.result()
    done = train(config, 0, tmp_path / "run")
    assert done.evaluation is not None
    found = {metric["name"]: metric["value"] for metric in done.evaluation["metrics"]}
    assert found["mean_iou"] > 2 * best["mean_iou"]
    assert found["depth_absolute_error"] < 0.7 * best["depth_absolute_error"]
    assert found["normal_mean_angle"] < 0.8 * best["normal_mean_angle"]


def constant(targets: Targets, batch: int) -> list[torch.Tensor]:
    """The most frequent class, the median depth and the mean normal, at every pixel of a batch."""
    most = targets.classes[targets.classes >= 0].mode().values
    logits = functional.one_hot(most, 13).float()
    depth = targets.depth[targets.depth > 0].median()[None]
    normal = functional.normalize(targets.normal.mean((0, 2, 3)), dim=0)
    return [x[None, :, None, None].expand(batch, -1, *targets.classes.shape[1:]) for x in (logits, depth, normal)]


def test_published_baselines_hold_for_the_papers_settings_alone() -> None:
    assert NYUv2().published_single_task is not None
    assert NYUv2(width=32).published_single_task is None
    assert NYUv2(image_height=96).published_single_task is None
    assert CelebA().published_single_task is None
    famo = CelebA(network="plain_cnn", score="f1").published_single_task
    assert famo is not None
    assert famo.keys() == {f"f1_{task}" for task in CelebA().tasks}


@pytest.mark.parametrize("name", SMALL)
def test_a_run_does_not_go_on_with_other_pictures(name: str, stand_ins: Path, tmp_path: Path) -> None:
    """Of the same number and size."""
    config, kind = short(name, stand_ins).model_copy(update={"epochs": 1}), name.partition("-")[0]
    train(config, 0, tmp_path / "run")
    standin.generate(kind, tmp_path / "others", seed=1, count=8, size=SIZES[kind])
    others = config.model_copy(update={"data": str(tmp_path / "others")})
    with pytest.raises(UserError, match=r"^data: the run was trained on other examples than those of stand-in for "):
        train(others, 0, tmp_path / "run", resume=True)


def test_a_run_goes_on_with_less_memory(stand_ins: Path, tmp_path: Path) -> None:
    train(short("nyuv2", stand_ins).model_copy(update={"epochs": 1}), 0, tmp_path / "run")
    less = short("nyuv2", stand_ins, benchmark={"cache_gib": 0.0})
    assert train(less, 0, tmp_path / "run", resume=True).step == 4
