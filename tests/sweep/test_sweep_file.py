"""The file of a sweep: what it makes, and the one line for what is wrong in it."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from mtrl.agents.config import Config
from mtrl.benchmarks import SupervisedConfig
from mtrl.cli.main import main
from mtrl.cli.sweep import _engine, read
from mtrl.envs import task_names
from mtrl.runs.configs import find
from mtrl.sweep import Resources, read_sweep
from mtrl.sweep.local import gpu_slots
from mtrl.sweep.reach import record_failure
from tests.report.run_folders import PROTOCOL, result
from tests.sweep.small_sweeps import folder, trials_of, write_sweep

Output = pytest.CaptureFixture[str]


def dry(path: Path, capsys: Output, *words: str) -> list[str]:
    """The first two cells of each row that `--dry-run` prints."""
    assert main(["sweep", str(path), "--out", str(path.parent / "runs"), "--dry-run", *words]) == 0
    rows = [line.strip("| ").split("|") for line in capsys.readouterr().out.splitlines() if "seed_" in line]
    return [row[0].strip() for row in rows]


def test_every_method_with_every_variant_and_every_seed_first_seeds_first(tmp_path: Path, capsys: Output) -> None:
    variants = {"recipe": {}, "wide": {"agent.critic.width": 32}}
    path = write_sweep(tmp_path, methods=["mean", {"name": "cagrad", "c": 0.4}], seeds=[3, 1], variants=variants)
    runs = ["mean-recipe", "cagrad-c-0.4-recipe", "mean-wide", "cagrad-c-0.4-wide"]
    assert dry(path, capsys) == [f"{run}/seed_{seed}" for seed in (3, 1) for run in runs]
    assert dry(path, capsys, "--only", "*-wide/seed_1") == ["mean-wide/seed_1", "cagrad-c-0.4-wide/seed_1"]
    assert dry(path, capsys, "--only", "mean-wide") == ["mean-wide/seed_3", "mean-wide/seed_1"]
    both = dry(path, capsys, "--only", "mean-wide", "--only", "*-recipe/seed_1")
    assert both == ["mean-wide/seed_3", "mean-recipe/seed_1", "cagrad-c-0.4-recipe/seed_1", "mean-wide/seed_1"]
    assert not (tmp_path / "runs").exists()  # nothing is written


@pytest.mark.parametrize("axes", [("methods", "variants"), ("methods",), ("variants",)])
def test_what_is_added_renames_nothing(axes: tuple[str, ...], tmp_path: Path, capsys: Output) -> None:
    methods, variants = ["mean", "pcgrad"], {"recipe": {}, "wide": {"agent.critic.width": 32}}
    fields: dict[str, Any] = {
        "methods": methods if "methods" in axes else [],
        "variants": variants if "variants" in axes else {},
    }
    every = dry(write_sweep(tmp_path, **fields), capsys)
    for axis, first in {"methods": methods[:1], "variants": {"recipe": {}}}.items():
        if axis in axes:
            assert {*dry(write_sweep(tmp_path, **fields | {axis: first}), capsys)} < {*every}


def test_what_the_file_does_not_name_is_in_no_name(tmp_path: Path, capsys: Output) -> None:
    assert dry(write_sweep(tmp_path, methods=["mean"], variants={"a": {}}, seeds=1), capsys) == ["mean-a/seed_0"]
    path = write_sweep(
        tmp_path, methods=[], variants={"narrow": {}, "wide": {"agent": {"critic": {"width": 9}}}}, seeds=1
    )
    assert dry(path, capsys) == ["narrow/seed_0", "wide/seed_0"]
    assert dry(write_sweep(tmp_path, methods=[], seeds=1), capsys) == ["base/seed_0"]
    together = write_sweep(tmp_path, methods=["mean"], seeds=3, resources={"seeds_together": 2})
    assert dry(together, capsys) == ["mean/seed_0+1", "mean/seed_2"]


def test_values_within_values(tmp_path: Path) -> None:
    tasks = [{"id": "PointEast-v0", "kwargs": {"a": 1}}, "PointWest-v0"]
    path = write_sweep(tmp_path, methods=["mean"], seeds=1, variants={"a": {"env.tasks": tasks}})
    _, (trial,) = read(path, tmp_path)
    assert isinstance(trial.config, Config)
    assert trial.config.env.tasks == ("PointEast-v0(a=1)", "PointWest-v0")


def test_what_a_trial_takes_is_in_its_configuration(tmp_path: Path) -> None:
    resources = {"cpus": 3, "seeds_together": 2}
    path = write_sweep(tmp_path, changes={"agent.discount": 0.9, "steps": 640}, resources=resources)
    file, found = read(path, tmp_path)
    assert (file.resources.cpus, len(found)) == (3, 2)
    for config in (trial.config for trial in found):
        assert isinstance(config, Config)
        assert (config.agent.discount, config.steps, config.device) == (0.9, 640, "cpu")
        assert config.training.threads == 1  # the base says so
        assert (config.seeds, config.training.seeds_at_once) == ((0, 1), 2)
    (tmp_path / "toy.yaml").write_text("{benchmark: {name: toy}}")
    _, (trial,) = read(write_sweep(tmp_path, base="toy.yaml", methods=[], seeds=1, resources={"cpus": 3}), tmp_path)
    assert isinstance(trial.config, SupervisedConfig)
    assert trial.config.threads == 3


def test_those_that_come_with_mtrl() -> None:
    """Each method of the comparison, and the recipe that they share."""
    file, found = read(find("sweeps/mt10-methods"), Path("runs"))
    methods = ["mean", "pcgrad", "cagrad", "mgda", "imtl_g", "famo", "nash_mtl", "nash_mtl"]
    configs = [trial.config for trial in found]
    assert [config.method.name for config in configs] == methods * 5
    assert [config.method.update_every for config in configs[:8]] == [1] * 7 + [50]
    assert {config.steps for config in configs if isinstance(config, Config)} == {800_000}
    assert file.keep == "policy"
    _, found = read(find("sweeps/mt10-raw-rewards"), Path("runs"))
    raw = {trial.config.method.name: trial.config for trial in found}
    assert list(raw) == ["mean", "pcgrad", "nash_mtl"]
    for config in raw.values():
        assert isinstance(config, Config)
        assert (config.agent.value, config.agent.reward_scaling, config.steps) == ("scalar", "none", 800_000)


def test_a_base_that_comes_with_mtrl(tmp_path: Path, capsys: Output) -> None:
    assert dry(write_sweep(tmp_path, base="mt10/quick", seeds=1), capsys) == ["mean/seed_0", "pcgrad/seed_0"]
    path = write_sweep(tmp_path, base="supervised/toy", methods=["mgda"], seeds=1)
    assert dry(path, capsys) == ["mgda/seed_0"]


def test_a_trial_that_failed_and_has_finished_since_is_shown_as_finished(tmp_path: Path, capsys: Output) -> None:
    path = write_sweep(tmp_path, seeds=1)
    for trial in trials_of(path, tmp_path / "runs"):
        record_failure(trial, "out of memory", "")
    tasks = task_names("Points")
    rates, protocol = [0.5] * len(tasks), PROTOCOL | {"episodes": 2, "horizon": 10}
    record = result(320, 0, rates, rates, tasks=tasks, protocol=protocol)
    (folder(path, "mean", 0) / "evaluation.json").write_text(json.dumps(record))
    assert main(["sweep", str(path), "--out", str(tmp_path / "runs"), "--dry-run"]) == 0
    rows = [line.strip("| ").split("|") for line in capsys.readouterr().out.splitlines() if "seed_" in line]
    assert [row[1].strip() for row in rows] == ["finished", "failed: out of memory"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed": 3}, "seed: unknown key; there are name, base, changes, methods"),
        ({"seeds": 0}, "seeds must be greater than or equal to 1, got 0"),
        ({"seeds": [1, 1]}, "seeds must differ, got [1, 1]"),
        ({"base": "nowhere/at-all"}, "nowhere/at-all is neither a file nor a configuration that comes with mtrl"),
        ({"methods": ["men"]}, "men: method: unknown method 'men': did you mean 'mean'?"),
        ({"methods": [{"c": 1}]}, "methods: a method needs a name, got {'c': 1}"),
        ({"methods": ["mean", "mean"]}, "methods and variants: mean is there twice"),
        ({"methods": [{"name": "cagrad", "c": 7.0}]}, "cagrad-c-7.0: method: CAGrad needs 0 <= c < 1, got c=7.0"),
        ({"methods": [{"name": "cagrad", "d": 1}]}, "cagrad-d-1: "),
        ({"variants": {"a": {"agent.critic.widht": 3}}}, "did you mean agent.critic.width"),
        ({"variants": {"a/b": {}}}, "variants.a/b must match pattern"),
        ({"resources": {"memory": "lots"}}, "resources.memory must be a size such as 6GiB, got 'lots'"),
        ({"resources": {"gpus": 1.5}}, "resources.gpus must be a part of one GPU or a whole number, got 1.5"),
        ({"resources": {"ranks": 0}}, "resources.ranks must be greater than or equal to 1, got 0"),
        ({"resources": {"cpus": 0}}, "resources.cpus must be greater than or equal to 1, got 0"),
        ({"variants": {"a": {"device": "cuda"}}}, "resources.gpus must be above 0 with device 'cuda', got 0"),
        ({"keep": "nothing"}, "keep must be 'all' or 'policy', got 'nothing'"),
        ({"retries": -1}, "retries must be greater than or equal to 0, got -1"),
        (
            {"base": "supervised/toy", "methods": ["mgda"], "resources": {"seeds_together": 2}},
            "resources.seeds_together must be 1 in supervised learning, got 2",
        ),
        (
            {"base": "supervised/toy", "methods": ["mgda"], "resources": {"ranks": 2}},
            "resources.ranks must be 1 in supervised learning, got 2",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: Output, fields: dict[str, Any], told: str) -> None:
    assert main(["sweep", str(write_sweep(tmp_path, **fields)), "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mtrl sweep: error: ")
    assert told in line


def test_wrong_words_are_one_line(tmp_path: Path, capsys: Output) -> None:
    path = str(write_sweep(tmp_path))
    for words, told in (
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["--address", "auto"], "--address is of --engine ray"),
        (["--engine", "tune"], "argument --engine: invalid choice: 'tune'"),
        (["--only", "nash*"], "--only nash*: there is no such trial; there are mean/seed_0, pcgrad/seed_0"),
        (["--only", "mean", "--only", "mgda"], "--only mgda: there is no such trial; there are mean/seed_0"),
    ):
        assert main(["sweep", path, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_sizes(tmp_path: Path) -> None:
    for text, size in (("6GiB", 6 * 2**30), ("1.5 GB", 1_500_000_000), ("512MiB", 2**29), ("100", 100)):
        assert Resources(memory=text).memory_bytes == size
    assert Resources().memory_bytes is None
    assert read_sweep(write_sweep(tmp_path, seeds=[4, 2])).seed_list == (4, 2)
    assert read_sweep(write_sweep(tmp_path, seeds=3)).seed_list == (0, 1, 2)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpus": 2, "memory": "1GiB"}, "4 processes of this machine"),
        ({"cpus": 2, "memory": "3GiB"}, "3 processes of this machine"),
        ({"memory": "30GiB"}, "1 process of this machine"),
        ({"cpus": 9, "memory": "1GiB"}, "1 process of this machine"),
    ],
)
def test_as_many_trials_at_once_as_cores_and_memory_hold(
    resources: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight cores, 10 GiB."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("mtrl.cli.sweep.available_cores", lambda: 8)
    monkeypatch.setattr("mtrl.cli.sweep.devices.available_memory", lambda: 10 << 30)
    file, found = read(write_sweep(tmp_path, resources=resources), tmp_path)
    for jobs, expected in ((None, told), (5, "5 processes of this machine")):
        options = Namespace(engine="local", jobs=jobs)
        assert _engine(options, file.resources, found).describe() == expected


@pytest.mark.parametrize(
    ("each", "visible", "expected"),
    [
        (0, "0,1", None),
        (1, "0,1", ["0", "1"]),
        (0.5, "4,7", ["4", "4", "7", "7"]),
        (0.3, "4", ["4", "4", "4"]),
        (2, "0,1,2,3,4", ["0,1", "2,3"]),
    ],
)
def test_what_of_the_gpus_a_process_sees(
    each: float, visible: str, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("mtrl.sweep.local.torch.cuda.device_count", lambda: visible.count(",") + 1)
    assert gpu_slots(each) == expected
