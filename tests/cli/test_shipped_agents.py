"""Agents that come with the package, by name: agents that are trained here stand in their place."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mtrl.agents import MultiTaskSAC, shipped
from mtrl.agents.config import Config
from mtrl.cli.main import main
from mtrl.cli.policy_files import write_policy
from mtrl.report import read_evaluation
from mtrl.runs import configs
from mtrl.runs.errors import UserError
from mtrl.runs.folder import load_config
from mtrl.runs.tree_file import read_tree
from scripts import ship_agent
from tests.cli.conftest import POINTS, train_points

NAME = "points/small"
STEPS = "steps: 960\nmethod: {name: mean}\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two seeds."""
    out = tmp_path_factory.mktemp("run")
    assert train_points(out, "mean", "--method.name mean --seeds 0 3") == 0
    return out / "mean"


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package's agents and configurations are; one stands in an empty folder beside them."""
    for name in ("trained", "configs/points", "here"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "configs/points/small.yaml").write_text(STEPS + POINTS.replace("threads: 1", "threads: 0"))
    for module in (shipped, ship_agent):
        monkeypatch.setattr(module, "FOLDER", tmp_path / "trained")
    monkeypatch.setattr(configs, "FOLDER", tmp_path / "configs")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "trained"


@pytest.fixture
def filled(ours: Path, run: Path) -> Path:
    assert ship_agent.main([str(run), NAME]) == 0
    return ours


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def single_spaced(table: str) -> str:
    return re.sub(r" +", " ", table)


def actions(model: MultiTaskSAC) -> np.ndarray:
    shape = (len(model.tasks), 3, model.sizes.observation)
    return model.predict(np.random.default_rng(0).normal(size=shape).astype(np.float32))[0]


def test_a_seed_is_four_files_with_the_policys_weights_alone(filled: Path, run: Path) -> None:
    for seed in (0, 3):
        found = files(filled / NAME / f"seed_{seed}")
        assert found.keys() == {"README.md", "config.yaml", "evaluation.json", "checkpoints/000000000960.pt"}
        assert found["evaluation.json"] == (run / f"seed_{seed}" / "evaluation.json").read_bytes()
        saved = read_tree(filled / NAME / f"seed_{seed}" / "checkpoints" / "000000000960.pt")
        assert saved.tree["agent"]["parameters"].keys() == {"actor", "log_alpha"}
        assert "replay" not in saved.tree
        assert str(run.parent) not in json.dumps(saved.about) + found["config.yaml"].decode()  # no place of ours


def test_the_card_says_how_it_is_loaded_what_it_reaches_and_what_made_it(filled: Path, run: Path) -> None:
    card = single_spaced((filled / NAME / "seed_3" / "README.md").read_text())
    start = json.loads((run / "seed_3" / "metrics.jsonl").read_text().splitlines()[0])
    mean = json.loads((run / "seed_3" / "evaluation.json").read_text())["mean"]
    for said in (
        'MultiTaskSAC.load("points/small/seed_3")',
        "960 environment steps",
        "Protocol modern",
        f"| mean | {mean['success_any']:.2f} | {mean['success_final']:.2f} | {mean['mean_return']:.1f} | 8 |",
        f"torch {start['versions']['torch']}",
        start["hardware"],
    ):
        assert said in card


def test_the_name_is_an_agent_in_python(filled: Path, run: Path) -> None:
    assert MultiTaskSAC.load(run, "cpu").seed == 0  # the first, as commands have it
    with pytest.raises(UserError, match="points/small has seed_0, seed_3"):
        MultiTaskSAC.load(f"{NAME}/seed_")
    for word, seed in ((f"{NAME}/", 0), (f"{NAME}/seed_3", 3), (Path(NAME), 0), (NAME, 0)):
        with MultiTaskSAC.load(word, "cpu") as model, MultiTaskSAC.load(run / f"seed_{seed}", "cpu") as original:
            assert model.seed == seed
            assert np.array_equal(actions(model), actions(original))
    with pytest.raises(UserError, match="holds the policy alone"):
        model.learn(80)
    model.save("small.pt", replay=False)
    assert np.array_equal(actions(MultiTaskSAC.load("small.pt", "cpu")), actions(model))


def test_it_is_evaluated_from_an_empty_folder_and_stays_as_it_was(
    filled: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(filled)
    assert main(["evaluate", NAME, "--device", "cpu", "--episodes", "4"]) == 0
    printed = capsys.readouterr().out
    for seed in (0, 3):
        copy = Path("trained") / NAME / f"seed_{seed}"
        assert f"{copy}: checkpoint of step 960" in printed
        assert read_evaluation(copy / "evaluation.json").episodes == (4,) * 4
    assert files(filled) == before
    assert main(["evaluate", f"{NAME}/seed_0", "--device", "cpu"]) == 0  # the copy that is there is taken
    again = read_evaluation(Path("trained") / NAME / "seed_0" / "evaluation.json")
    original = read_evaluation(run / "seed_0" / "evaluation.json")
    assert np.array_equal(again.mean_return, original.mean_return)


def test_another_policy_in_the_place_of_the_copy_is_not_taken_for_it(
    filled: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path("trained") / NAME / "seed_0"
    shutil.copytree(run / "seed_3", copy)
    before = files(copy)
    assert main(["evaluate", NAME]) == 2
    line = f"{copy} holds another policy than the one that comes with this version: move it away"
    assert capsys.readouterr().err == f"mtrl evaluate: error: {line}\n"
    assert files(copy) == before


def test_they_are_listed(filled: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["agents"]) == 0
    _, _, *rows = map(single_spaced, capsys.readouterr().out.splitlines())
    assert [row.split("|")[1:5] for row in rows] == [[f" {NAME} ", f" {seed} ", " mean ", " 960 "] for seed in "03"]
    mean = json.loads((run / "seed_3" / "evaluation.json").read_text())["mean"]
    assert f"| any-step {mean['success_any']:.2f}; final-step {mean['success_final']:.2f}; " in rows[1]


def test_what_has_no_success_is_listed_and_told_by_its_returns(
    ours: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = f"{tmp_path}/configs/points/small.yaml"
    words = "--env.tasks Pendulum-v1 --out . --name pendulum --steps 400 --evaluation.episodes 1 --device cpu"
    assert main(["train", config, *words.split()]) == 0
    write_policy(Path("pendulum/seed_0"), ours / "points" / "pendulum" / "seed_0", "points/pendulum")
    card = single_spaced((ours / "points" / "pendulum" / "seed_0" / "README.md").read_text())
    record = json.loads(Path("pendulum/seed_0/evaluation.json").read_text())
    (task,) = record["tasks"]
    assert f"| Pendulum-v1 | {task['mean_return']:.1f} | 1 |" in card
    assert "success" not in card
    capsys.readouterr()
    assert main(["agents"]) == 0
    assert f"| return {task['mean_return']:.1f} |" in single_spaced(capsys.readouterr().out)


def test_none_is_said_so(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents"]) == 0
    assert capsys.readouterr().out == "None comes with this version.\n"
    assert main(["evaluate", "mt10/nothing"]) == 2
    assert capsys.readouterr().err == "mtrl evaluate: error: mt10/nothing is no folder\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("evaluate mt10/quick", "mt10/quick is no folder, and no agent that comes with mtrl, which are: points/small"),
        ("record nothing", "nothing is no folder, and no agent that comes with mtrl, which are: points/small"),
        ("export points/small/seed_1", "points/small/seed_1: points/small has seed_0, seed_3"),
        ("evaluate points/small.pt", "points/small.pt is no folder"),
    ],
)
def test_a_name_that_is_none_is_one_line(
    words: str, line: str, filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words.split()
    assert main(command) == 2
    assert capsys.readouterr().err == f"mtrl {command[0]}: error: {line}\n"
    if "." not in command[1]:
        with pytest.raises(UserError, match=line):
            MultiTaskSAC.load(command[1])


def test_a_run_of_ones_own_with_that_name_is_taken(filled: Path, run: Path) -> None:
    shutil.copytree(run / "seed_3", NAME)
    assert MultiTaskSAC.load(NAME, "cpu").seed == 3
    assert main(["evaluate", NAME, "--device", "cpu"]) == 0
    assert not Path("trained").exists()


def test_what_is_not_finished_or_made_otherwise_is_not_shipped(
    ours: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> str:
        assert ship_agent.main([str(tmp_path / "copy"), NAME]) == 2
        assert not files(ours)
        return capsys.readouterr().err

    capsys.readouterr()
    config = tmp_path / "configs/points/small.yaml"
    shutil.copytree(run, tmp_path / "copy")
    config.write_text(STEPS.replace("mean", "pcgrad") + POINTS)
    assert "method.name is 'mean' there and 'pcgrad' here" in refused()
    config.write_text(STEPS.replace("960", "2_000") + POINTS)
    assert "must have come to step 2,000, its newest checkpoint is of 960" in refused()
    config.write_text(STEPS + POINTS)
    result = tmp_path / "copy" / "seed_3" / "evaluation.json"
    record = json.loads(result.read_text())
    result.write_text(json.dumps(record | {"tasks": [task | {"episodes": 1} for task in record["tasks"]]}))
    assert "must be evaluated at its newest checkpoint, of step 960, with 2 episodes per task" in refused()
    result.unlink()
    assert "evaluation.json: No such file or directory" in refused()
    assert load_config(run / "seed_3", Config).evaluation.episodes == 2


def test_those_of_this_version_are_whole_and_small() -> None:
    for name, seeds in shipped.shipped().items():
        for folder in seeds.iterdir():
            model = MultiTaskSAC.load(f"{name}/{folder.name}", "cpu")
            assert np.isfinite(actions(model)).all()
            assert (folder / "README.md").is_file()
            assert sum(len(content) for content in files(folder).values()) < 1_500_000
