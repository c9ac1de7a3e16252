"""`mtrl supervised` as a user calls it."""

import json
from pathlib import Path

import pytest

from mtrl.benchmarks import MultiMNIST, SupervisedConfig
from mtrl.cli.arguments import load_config, parse_arguments
from mtrl.cli.main import main
from mtrl.cli.options import sections
from mtrl.cli.train_help import train_help
from mtrl.runs.errors import UserError
from tests.benchmarks.idx_files import write_idx_folder
from tests.report.run_folders import write_run

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "supervised").glob("*.yaml"))
MULTIMNIST = next(path for path in CONFIGS if path.stem == "multimnist")
SMALL = ["--epochs", "2", "--batch_size", "64", "--threads", "1"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert load_config(path, SupervisedConfig).name == path.stem


def parse(text: str, words: str, folder: Path) -> SupervisedConfig:
    path = folder / "x.yaml"
    path.write_text(text)
    return parse_arguments([str(path), *words.split()], SupervisedConfig, "").config


def test_a_benchmark_is_chosen_by_name_with_fields_of_its_own(tmp_path: Path) -> None:
    text = "benchmark: {name: multimnist, size: 36}"
    assert parse(text, "", tmp_path).benchmark == MultiMNIST(size=36)
    assert parse("benchmark: {size: 36}", "", tmp_path).benchmark == MultiMNIST(size=36)
    assert parse(text, "--benchmark.dropout 0", tmp_path).benchmark == MultiMNIST(size=36, dropout=0.0)
    assert parse(text, "--benchmark.name toy", tmp_path).benchmark.name == "toy"  # the file's fields go
    toy = parse(text, "--benchmark.name toy --benchmark.scales 1 10", tmp_path)
    assert toy.benchmark.model_dump()["scales"] == (1.0, 10.0)
    saved = json.dumps(toy.model_dump(mode="json"))
    assert parse(saved, "", tmp_path) == toy


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("benchmark: {name: mnist}", "", "{path}: benchmark.name must be "),
        ("", "--benchmark.name mnist", "--benchmark.name must be "),
        (
            "benchmark: {name: multimnist, sise: 36}",
            "",
            "{path}: benchmark.sise: unknown key; did you mean benchmark.size?",
        ),
        ("", "--benchmark.size 30", "--benchmark.size must be 28 or 36, got 30"),
        ("benchmark: {name: multimnist, dropout: 1}", "", "{path}: benchmark.dropout must be less than 1, got 1"),
        ("", "--benchmark.name toy --benchmark.dropout 0.5", "--benchmark.dropout: unknown key"),
        ("", "--sise 3", "--sise: unknown option"),
        ("", "--method.name single_task --method.c 1", "method: single_task has no hyper-parameter 'c'"),
        ("", "--method.name famo --method.update_every 2", "method: update_every must be 1 with famo"),
        ("", "--method.name moco --method.update_every 2", "method: update_every must be 1 with moco, whose weights"),
        ("", "--gradients features --method.name moco", "{path}: gradients must be parameters with moco, which"),
        ("", "--schedule.kind multi_step", "schedule: milestones must be epochs with kind 'multi_step', got none"),
        ("", "--schedule.milestones 3", "schedule: milestones need kind to be 'multi_step', got 'constant'"),
        (
            "",
            "--epochs 3 --evaluation.mean_last_epochs 4",
            "{path}: evaluation.mean_last_epochs must be at most epochs=3, got 4",
        ),
        (
            "",
            "--evaluation.select best_validation --evaluation.mean_last_epochs 3",
            "evaluation: mean_last_epochs needs select to be 'last'",
        ),
    ],
)
def test_bad_input_is_one_line(text: str, words: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, words, tmp_path)
    assert str(caught.value).startswith(line.format(path=tmp_path / "x.yaml"))
    assert "\n" not in str(caught.value)


def test_help_lists_every_field_of_every_benchmark() -> None:
    text = train_help("mtrl supervised", "Train.", SupervisedConfig)
    words = " ".join(text.split())
    for section in sections(SupervisedConfig):
        for option in section.with_choices():
            assert f"--{option.key} " in text
            assert " ".join(option.doc.split()) in words
    assert "multimnist: Two digits laid over each other" in words


def test_train_resume_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = str(write_idx_folder(tmp_path / "data"))
    words = ["supervised", str(MULTIMNIST), "--data", data, *SMALL]
    assert main([*words, "--seeds", "0", "1"]) == 0
    shown = capsys.readouterr().out
    assert "multimnist/seed_0: data: pairs of idx files (MD5 " in shown
    assert "multimnist/seed_1: epoch 2/2, test top_left_accuracy " in shown
    assert "Metrics, mean over seeds (multimnist: 2)" in shown
    assert "No delta_m: the papers' single-task metrics hold for their full data alone, not for pairs of idx" in shown
    files = {path.name for path in Path("runs/multimnist/report").iterdir()}
    assert {"index.html", "metrics.md", "metrics.csv", "curves.png", "weights.svg"} <= files

    assert main(words) == 2
    assert capsys.readouterr().err == (
        "mtrl supervised: error: run runs/multimnist/seed_0 exists and is never overwritten: "
        "add --resume, or choose another --name or --out\n"
    )
    before = Path("runs/multimnist/seed_0/metrics.jsonl").read_bytes()
    assert main([*words, "--resume"]) == 0
    assert Path("runs/multimnist/seed_0/metrics.jsonl").read_bytes() == before

    assert main([*words, "--method.name", "single_task", "--name", "own"]) == 0
    capsys.readouterr()
    assert main(["report", "runs/multimnist", "runs/own", "--out", "both"]) == 0
    shown = capsys.readouterr().out
    assert "delta_m, % ↓" in shown
    assert "delta_m is against the single-task models of own (mean of 1 seed)." in shown

    write_run(Path("runs"), "rl")
    assert main(["report", "runs/multimnist", "runs/rl", "--out", "mixed"]) == 2
    line = capsys.readouterr().err
    assert "runs/multimnist/seed_0 is a supervised run and runs/rl/seed_0 is none" in line
    assert len(line.splitlines()) == 1
    assert not Path("mixed").exists()


def test_missing_data_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["supervised", str(MULTIMNIST), "--data", str(tmp_path), "--out", str(tmp_path / "runs")]
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.startswith(
        f"mtrl supervised: error: {tmp_path}/train-images-idx3-ubyte.gz is missing; expected in that"
    )
    assert "python -m mtrl.benchmarks.download mnist" in line
    assert len(line.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
