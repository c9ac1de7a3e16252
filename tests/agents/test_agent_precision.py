"""`training.precision: auto`: what is measured decides, once for all seeds of a run; a run keeps what it began with."""

import json
import multiprocessing
import re
from pathlib import Path

import pytest
import torch

from mtrl.agents import Config, Learner, MultiTaskSAC, evaluate, train
from mtrl.agents import precision as choosing
from mtrl.agents.precision import choose, measured
from mtrl.agents.products import Layer, Operands, Rows, layers_of, speedup
from mtrl.runs.errors import UserError
from mtrl.runs.events import Event
from mtrl.runs.folder import load_config
from tests.agents.conftest import make_config

CPU = torch.device("cpu")


def config_of(precision: str = "auto", **changes) -> Config:
    """A run of 80 steps on the analytic tasks."""
    return make_config(
        steps=80,
        device="cpu",
        env={"tasks": "Points", "horizon": 10, "num_envs_per_task": 2, "num_workers": 1},
        training={
            "warmup_steps": 40,
            "batch_per_task": 4,
            "updates_per_vector_step": 1,
            "replay_capacity_per_task": 100,
            "threads": 1,
            "precision": precision,
        },
        evaluation={"episodes": 1, "horizon": 10},
        **changes,
    )


@pytest.fixture
def bfloat16_is(monkeypatch: pytest.MonkeyPatch):
    """Sets how many times as fast bfloat16 is from now on; None for a measurement that must not be made."""

    def set_speedup(times: float | None) -> None:
        def fake(*_: object) -> float:
            assert times is not None, "measured"
            return times

        monkeypatch.setattr(choosing, "speedup", fake)

    return set_speedup


def run(folders: list[Path], config: Config | None = None, resume: bool = False) -> list[str]:
    """Trains the seeds in these folders, `.../seed_<k>`; the lines told about the precision."""
    notes: list[str] = []

    def on_event(event: Event, seed: int | None) -> None:
        notes.extend([event["text"]] if event["kind"] == "note" else [])

    by_seed = {int(folder.name.removeprefix("seed_")): folder for folder in folders}
    train(config or config_of(), by_seed, resume=resume, on_event=on_event)
    return [note for note in notes if note.startswith("precision")]


def saved(folder: Path) -> str:
    return load_config(folder, Config).training.precision


@pytest.mark.parametrize(
    ("times", "chosen", "because"),
    [
        (0.1, "float32", "10.0 times slower than float32"),
        (1.1, "float32", "1.1 times as fast as float32"),
        (2.04, "bfloat16", "2.0 times as fast as float32"),
    ],
)
def test_what_is_measured_decides(bfloat16_is, times, chosen, because) -> None:
    bfloat16_is(times)
    choice = choose(config_of(), CPU)
    threads = torch.get_num_threads()
    place = f"{threads} thread{'s' * (threads > 1)}"
    assert choice.line == f"precision: {chosen}, because bfloat16 multiplies {because} here ({place})"
    assert (choice.precision, choice.is_slow) == (chosen, False)


def test_an_explicit_format_is_taken_and_bfloat16_told_where_it_is_slow(bfloat16_is) -> None:
    bfloat16_is(1 / 14.2)
    choice = choose(config_of("bfloat16"), CPU)
    assert (choice.precision, choice.is_slow) == ("bfloat16", True)
    assert choice.line is not None
    assert choice.line.startswith("precision: bfloat16 as configured, but bfloat16 multiplies 14.2 times slower")
    bfloat16_is(1.1)
    assert choose(config_of("bfloat16"), CPU) == ("bfloat16", None, False)
    bfloat16_is(None)
    assert choose(config_of("float32"), CPU) == ("float32", None, False)


def test_an_agent_that_knows_one_format_alone_has_it(bfloat16_is) -> None:
    bfloat16_is(None)
    own = {"value": "scalar", "single_task": "stable_baselines3", "log_std_min": -20.0}
    network = {"kind": "mlp", "width": 16, "depth": 1}
    config = make_config(
        agent={**own, "actor": network, "critic": network, "conditioning": {"encoding": "none"}},
        training={"precision": "auto"},
    )
    assert choose(config, CPU).precision == "float32"


def test_a_run_keeps_what_it_began_with(tmp_path: Path, bfloat16_is) -> None:
    root = tmp_path / "run"
    bfloat16_is(2.0)
    first, *more = run([root / "seed_0", root / "seed_1"])
    assert first.startswith("precision: bfloat16, because")
    assert not more
    assert [saved(root / f"seed_{seed}") for seed in (0, 1)] == ["bfloat16", "bfloat16"]

    bfloat16_is(0.1)  # another machine
    longer = config_of().model_copy(update={"steps": 160})
    (line,) = run([root / "seed_0"], longer, resume=True)
    assert line.startswith("precision: bfloat16, as the run began, but bfloat16 multiplies 10.0 times slower")
    (line,) = run([root / "seed_2"])
    assert line.startswith("precision: bfloat16, as the run began, but")
    assert saved(root / "seed_2") == "bfloat16"

    bfloat16_is(2.0)
    assert run([root / "seed_3"]) == ["precision: bfloat16, as the run began"]
    (line,) = run([tmp_path / "other" / "seed_0"])
    assert "because" in line


def test_a_run_that_was_made_with_an_explicit_format_is_continued_with_auto(tmp_path: Path, bfloat16_is) -> None:
    """Without `precision.json`, as runs of before have none."""
    bfloat16_is(None)
    run([tmp_path / "seed_0"], config_of("float32"))
    bfloat16_is(2.0)
    longer = config_of().model_copy(update={"steps": 160})
    (line,) = run([tmp_path / "seed_0"], longer, resume=True)
    assert line.startswith("precision: float32, as the run began, but bfloat16 multiplies 2.0 times as fast")
    run([tmp_path / "seed_1"])
    assert saved(tmp_path / "seed_1") == "float32"
    wanted = re.escape("training.precision is 'float32' there and 'bfloat16' here")
    with pytest.raises(UserError, match=f"another config: {wanted}"):
        run([tmp_path / "seed_0"], config_of("bfloat16"), resume=True)


def test_nothing_is_written_where_a_run_may_not_begin(tmp_path: Path, bfloat16_is) -> None:
    bfloat16_is(2.0)
    run([tmp_path / "run" / "seed_0"], config_of("float32"))
    with pytest.raises(UserError, match="never overwritten"):
        run([tmp_path / "run" / "seed_0"])
    assert not (tmp_path / "run" / "precision.json").exists()


def _begin_in_a_process(root: Path, seed: int, times: float) -> None:
    choosing.speedup = lambda *_: times
    run([root / f"seed_{seed}"])


def test_seeds_that_begin_at_once_in_processes_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_begin_in_a_process, args=(tmp_path / "run", seed, times))
        for seed, times in enumerate((0.5, 2.0))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    chosen = json.loads((tmp_path / "run" / "precision.json").read_text())["precision"]
    assert [saved(tmp_path / "run" / f"seed_{seed}") for seed in (0, 1)] == [chosen, chosen]


def test_what_was_chosen_stands_in_the_log_and_in_the_evaluation(tmp_path: Path, bfloat16_is) -> None:
    bfloat16_is(2.0)
    folder = tmp_path / "seed_0"
    run([folder])
    start = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert (start["kind"], start["precision"]) == ("start", "bfloat16")
    assert evaluate(folder, device="cpu")["precision"] == "bfloat16"
    assert json.loads((folder / "evaluation.json").read_text())["precision"] == "bfloat16"


def test_the_agent_as_an_object_chooses_and_keeps(tmp_path: Path, bfloat16_is) -> None:
    bfloat16_is(2.0)
    model = MultiTaskSAC(config_of())
    assert model.config.training.precision == "bfloat16"
    with model:
        model.learn(16)
        model.save(tmp_path / "agent.pt")
    bfloat16_is(0.1)
    with pytest.warns(RuntimeWarning, match=r"bfloat16 multiplies 10\.0 times slower"):
        loaded = MultiTaskSAC.load(tmp_path / "agent.pt", device="cpu")
    assert loaded.config.training.precision == "bfloat16"


def test_a_learner_needs_a_format() -> None:
    with pytest.raises(ValueError, match=r"training\.precision float32 or bfloat16, got auto"):
        Learner(config_of(), 4, 7, 3, CPU, (0,))


def test_all_linear_layers_of_actor_and_critics_are_measured() -> None:
    config = make_config(agent={"critic": {"kind": "residual", "width": 24, "depth": 2}, "num_atoms": 21})
    embedding = config.agent.conditioning.embedding_size
    assert layers_of(config, 7, 3) == {
        Layer(7 + embedding, 16, False): 1,
        Layer(16, 16, False): 2,
        Layer(16, 2 * 3, True): 1,
        Layer(7 + 3 + embedding, 24, False): 2,
        Layer(24, 24, False): 8,
        Layer(24, 21, True): 2,
    }


@pytest.mark.parametrize("kind", ["ours", "none"])
def test_the_measured_rows_are_those_of_an_update(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    seen: list[Rows] = []

    def speedup_of(layers: dict[Layer, int], rows: Rows, device: torch.device) -> float:
        seen.append(rows)
        return 1.0

    monkeypatch.setattr(choosing, "speedup", speedup_of)
    for at_once in (0, 2):
        training = {"seeds_at_once": at_once, "batch_per_task": 5, "precision": "auto"}
        config = make_config(env={"tasks": "MT10"}, agent={"single_task": kind}, training=training)
        measured(config.model_copy(update={"seeds": (0, 1, 2)}), CPU)
    assert seen == ([Rows(30, 1, 5), Rows(20, 1, 5)] if kind == "ours" else [Rows(3, 10, 5), Rows(2, 10, 5)])


def test_bfloat16_is_as_fast_as_float32s_time_over_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all layers together, by what each product is made to take here."""
    takes = {(8, torch.float32): 1.0, (8, torch.bfloat16): 0.5, (16, torch.float32): 4.0, (16, torch.bfloat16): 1.0}
    monkeypatch.setattr(Operands, "seconds", lambda own, device: takes[own.x.shape[-1], own.x.dtype])
    assert speedup({Layer(8, 16, False): 2, Layer(16, 4, True): 1}, Rows(2, 3, 4), CPU) == (2 * 1 + 4) / (2 * 0.5 + 1)


def test_measuring_draws_nothing_from_torchs_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    times = speedup({Layer(8, 16, False): 2, Layer(16, 4, True): 1}, Rows(2, 3, 4), CPU)
    assert 0 < times < float("inf")
    assert torch.equal(torch.rand(3), expected)
