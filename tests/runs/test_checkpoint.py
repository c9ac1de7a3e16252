"""A checkpoint is its run's, whole, and nothing that was changed passes for it."""

import errno
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtrl.agents import Config, MultiTaskSAC, UserError, evaluate, train
from mtrl.agents.saved_policy import load_policy
from mtrl.benchmarks import SupervisedConfig
from mtrl.runs import checkpoint
from mtrl.runs.identity import differences
from mtrl.supervised import train as train_supervised
from tests.runs.small_runs import newest, rewritten, small, toy, trained, trained_toy

State = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("run") / "seed_0")


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    return shutil.copytree(run, tmp_path / "seed_0")


def test_damage_anywhere_is_noticed_and_the_one_before_offered(folder: Path) -> None:
    path = newest(folder)
    content = path.read_bytes()
    draw = random.Random(0)
    block = 4096
    for kind in range(40):
        damaged = bytearray(content)
        at = draw.randrange(len(content) - 2 * block)
        if kind % 4 == 0:
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind % 4 == 1:
            damaged[at : at + block] = bytes([(1 + content[at]) % 256] * block)
        elif kind % 4 == 2:
            damaged[at : at + block], damaged[at + block : at + 2 * block] = (
                content[at + block : at + 2 * block],
                content[at : at + block],
            )
        else:
            del damaged[at : at + block]
        if damaged == content:
            continue
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"{path.name} is damaged .*move it away to use 000000000160\.pt"):
            checkpoint.load_newest(folder / "checkpoints", small())
    (folder / "checkpoints" / "000000000160.pt").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged") as caught:
        evaluate(folder)
    assert "move it away" not in str(caught.value)


def test_a_file_of_a_newer_version_is_not_called_damaged_alone(folder: Path) -> None:
    """What a newer version has trained is not to be thrown away by an older one."""
    newest = folder / "checkpoints" / "000000000320.pt"
    content = newest.read_bytes()
    for number in (2, 17):
        newest.write_bytes(content.replace(b"mtrl tree 1\n", b"mtrl tree %d\n" % number, 1))
        told = rf"is of a newer version of mtrl, .* format is {number}, the newest here 1\); move it away to use"
        with pytest.raises(UserError, match=told):
            checkpoint.load_newest(folder / "checkpoints", small())


def test_one_that_cannot_be_read_now_is_not_to_be_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on a disk that is away for a moment, or of another user."""
    opened = Path.open

    def refused(path: Path, *more: Any) -> Any:
        if path.name == "000000000320.pt":
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return opened(path, *more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(UserError, match=r"000000000320.pt cannot be read: Stale file handle$"):
        checkpoint.load_newest(folder / "checkpoints")


@pytest.mark.parametrize(
    ("changes", "seed", "told"),
    [
        ({}, 1, "seed 1 there and 0 here"),
        ({"method": {"name": "mean"}}, 0, "method.name is 'mean' there and 'pcgrad' here"),
        ({"agent": {"actor": {"kind": "mlp", "width": 16, "depth": 1}}}, 0, "agent.actor.width is 16 there and 8 here"),
        ({"env": {"num_envs_per_task": 1}}, 0, "env.num_envs_per_task is 1 there and 2 here"),
        ({"env": {"tasks": ("Pendulum-v1",)}}, 0, r"env.tasks is \['Pendulum-v1'\] there and 'Points' here"),
    ],
)
def test_another_runs_checkpoint_is_named(folder: Path, tmp_path: Path, changes: State, seed: int, told: str) -> None:
    other = trained(tmp_path / "other", seed, **changes)
    shutil.copy(newest(other), newest(folder))
    uses: list[Callable[[], object]] = [
        lambda: evaluate(folder),
        lambda: MultiTaskSAC.load(folder, device="cpu"),
        lambda: train(small(steps=640), {0: folder}, resume=True),
    ]
    for use in uses:
        with pytest.raises(UserError, match=f"is another run's: .*{told}"):
            use()


def test_a_checkpoint_under_another_name_is_noticed(folder: Path) -> None:
    shutil.copy(folder / "checkpoints" / "000000000160.pt", newest(folder))
    with pytest.raises(UserError, match="is of step 160, not of 320 as it is called"):
        evaluate(folder)


def test_another_kind_of_run_is_noticed(folder: Path, tmp_path: Path) -> None:
    shutil.copy(newest(trained_toy(tmp_path / "toy")), newest(folder))
    with pytest.raises(UserError, match="carries no configuration of this kind"):
        evaluate(folder)


def test_supervised_checkpoints_too(tmp_path: Path) -> None:
    folder, other = trained_toy(tmp_path / "run"), trained_toy(tmp_path / "other", optimizer={"learning_rate": 0.1})
    shutil.copy(newest(other), newest(folder))
    with pytest.raises(UserError, match=r"another run's: optimizer.learning_rate is 0.1 there and 0.001 here"):
        train_supervised(toy(epochs=3), 0, folder, resume=True)
    newest(folder).write_bytes(newest(folder).read_bytes()[:-5])
    with pytest.raises(UserError, match=r"is damaged .*move it away to use 000000000001\.pt"):
        train_supervised(toy(epochs=3), 0, folder, resume=True)


def without(key: str) -> Callable[[State], object]:
    return lambda state: state.pop(key)


def poisoned(state: State) -> None:
    state["agent"]["parameters"]["actor"][0, 0] = torch.nan


def wider(state: State) -> None:
    parameters = state["agent"]["parameters"]
    parameters["actor"] = parameters["actor"][..., :1].clone()


def other_moments(state: State) -> None:
    moments = state["agent"]["optimizers"][0]["state"][0]
    moments["exp_avg"] = moments["exp_avg"][..., :1].clone()


def set_to(value: Any, *keys: Any) -> Callable[[State], object]:
    def change(state: State) -> None:
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


CHANGES: dict[str, Callable[[State], object]] = {
    "no agent": without("agent"),
    "NaN": poisoned,
    "shape": wider,
    "moments": other_moments,
    "dtype": set_to(torch.zeros(1, dtype=torch.int64), "agent", "parameters", "critic"),
    "text": set_to("x", "agent", "parameters"),
    "updates": set_to(None, "agent", "num_updates"),
    "optimizers": set_to([], "agent", "optimizers"),
}


def last_of_other_tasks(state: State) -> None:
    loss, weights, conflict = state["agent"]["last_critic"]
    state["agent"]["last_critic"] = loss[:, :1].clone(), weights, conflict


def conflicts_in_bfloat16(state: State) -> None:
    conflicts = state["agent"]["conflicts"]
    conflicts["actor"] = tuple(tensor.bfloat16() for tensor in conflicts["actor"])


OF_TRAINING: dict[str, Callable[[State], object]] = {
    "last step of other tasks": last_of_other_tasks,
    "last step no tensors": set_to(((1, 2, 3), 4), "agent", "last_actor"),
    "conflicts in another precision": conflicts_in_bfloat16,
    **{f"no {key}": without(key) for key in ("replay", "noise", "scale", "recent", "batches", "env", "wall_s")},
    "written": set_to(-3, "replay", "written"),
    "rows": set_to([], "replay", "rows"),
    "NaN rows": lambda state: state["replay"]["rows"][0].fill_(torch.nan),
    "generator": set_to(torch.zeros(3, dtype=torch.uint8), "batches"),
    "actions": set_to(torch.zeros(3), "env", "actions"),
    "lengths": set_to(None, "env", "length"),
    "list": set_to([1], "scale"),
    "largest returns of other tasks": set_to(np.ones(9), "scale", "largest"),
    "largest returns NaN": set_to(np.full(4, np.nan), "scale", "largest"),
    "largest returns below 0": set_to(np.full(4, -1.0), "scale", "largest"),
    "largest returns integers": set_to(np.ones(4, np.int64), "scale", "largest"),
    "rewards of other environments": set_to([[[]]] * 4, "scale", "episodes"),
    "rewards no numbers": set_to([[["x"], []]] * 4, "scale", "episodes"),
    "rewards infinite": set_to([[[], [np.inf]]] * 4, "scale", "episodes"),
    "recent episodes no pairs": set_to([[3]] * 4, "recent"),
    "recent episodes no numbers": set_to([[(True, "x")]] * 4, "recent"),
    "recent episodes infinite": set_to([[(True, np.inf)]] * 4, "recent"),
    "exploration of another shape": set_to(torch.zeros(3), "noise", "current"),
    "exploration of another precision": lambda state: state["noise"].update(
        current=state["noise"]["current"].bfloat16()
    ),
    "exploration NaN": lambda state: state["noise"]["current"].fill_(torch.nan),
}


@pytest.mark.parametrize("change", [*CHANGES, *OF_TRAINING])
def test_states_that_do_not_fit_are_one_line(folder: Path, change: str) -> None:
    """With a checksum that is right: of another version, say."""
    state = checkpoint.load_newest(folder / "checkpoints")
    (CHANGES | OF_TRAINING)[change](state)
    rewritten(folder, state)
    uses: list[Callable[[], object]] = [lambda: train(small(steps=640), {0: folder}, resume=True)]
    if change in CHANGES:
        uses += [lambda: load_policy(folder, "cpu"), lambda: MultiTaskSAC.load(folder, device="cpu")]
    for use in uses:
        with pytest.raises(UserError, match=r"holds no state that this version can go on from: .") as caught:
            use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [{}, [1, 2], {"agent": 3}, None])
def test_whatever_else_a_file_holds_is_one_line(folder: Path, state: Any) -> None:
    rewritten(folder, state)
    with pytest.raises(UserError, match=r"holds no state|holds no state that"):
        load_policy(folder, "cpu")


def test_a_checkpoint_of_another_place_and_budget_goes_on(folder: Path) -> None:
    """Where a run is, what it is called and how long it goes may change."""
    moved = small(name="other", steps=480)
    assert train(moved, {0: folder}, resume=True).step == 480
    assert evaluate(folder)["checkpoint"]["step"] == 480


def test_a_default_may_be_said_or_not() -> None:
    def run(**method: Any) -> Config:
        return small(method={"name": "nash_mtl", **method}).of_seed(0)

    assert differences(run(), run(solver="newton")) == differences(run(solver="newton"), run()) == []
    assert differences(run(), run(solver="ccp")) == ["method.solver is 'newton' there and 'ccp' here"]
    alone = SupervisedConfig.model_validate({"method": {"name": "single_task"}})
    assert differences(alone, alone) == []
    assert differences(run(), small(method={"name": "mean"}))[0] == "method.name is 'nash_mtl' there and 'mean' here"
