"""Ranks that each have some of the tasks take the steps of one process, write its folder, and end together."""

from dataclasses import astuple
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from mtrl import aggregation, envs
from mtrl.agents import UserError, evaluate, train
from mtrl.agents.direction import Direction
from mtrl.agents.learner import Learner
from mtrl.agents.losses import Batch
from mtrl.agents.preflight import check_ranks
from mtrl.agents.ranks import ALONE, Ranks, launched
from mtrl.nested import map_leaves
from mtrl.runs import checkpoint
from mtrl.runs.run_state import FINISHED, read_state
from tests.agents.conftest import ACTION, OBSERVATION, make_batch, make_config
from tests.existing import existing
from tests.ranks import message, run, run_all
from tests.runs.small_runs import small

TASKS = 5
MOORE = {"kind": "moore", "width": 16, "depth": 1, "num_experts": 2}
TOLERANCE = {"sdm_grad": 1e-2}
"""Of a float32 direction of the shared parameters, by its length, where it is not 1e-6: SDMGrad's steps do not settle,
so that rounding grows in each."""
NETWORKS: dict[str, dict[str, Any]] = {
    "nothing own": {"conditioning": {"encoding": "none"}},
    "heads, one-hot": {"conditioning": {"encoding": "one_hot", "heads": True}, "temperature": "shared"},
    "film": {"conditioning": {"encoding": "film"}, "value": "scalar"},
    "moore": {"actor": MOORE, "critic": MOORE},
}
TWO = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
CASES = [*aggregation.METHODS, *NETWORKS]
pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")


def ranks_of(number: int) -> Ranks:
    return Ranks(number, dist.get_world_size(), number, dist.get_world_size())


def learner_of(case: str, ranks: Ranks) -> Learner:
    """Of a method, or of a network with the mean."""
    agent: dict[str, Any] = {"max_grad_norm": 1.0, **NETWORKS.get(case, {})}
    config = make_config(method={"name": "mean" if case in NETWORKS else case}, agent=agent)
    return Learner(config, TASKS, OBSERVATION, ACTION, torch.device("cpu"), (0, 7), ranks=ranks)


def batch_of(ranks: Ranks, seed: int) -> Batch:
    """For two replicas, of the tasks of this rank."""
    both = [make_batch(TASKS, rows=6, seed=10 * seed + replica) for replica in range(2)]
    return map_leaves(lambda *parts: torch.cat(parts)[:, ranks.own(TASKS)], *both)


def directions(case: str, ranks: Ranks) -> list[Direction]:
    """Two of each component, the second with what the method remembers of the first."""
    learner, found = learner_of(case, ranks), []
    alpha, generator = torch.full((2, TASKS), 0.1), torch.Generator().manual_seed(1)
    for step in range(2):
        batch, noise = batch_of(ranks, step), torch.randn(2, TASKS, 6, ACTION, generator=generator)
        for component, frozen, first in (
            (learner.critic, (learner.target, learner.actor.vector), batch),
            (learner.actor, (learner.critic.vector,), batch.observation),
        ):
            data = first, alpha, learner.action_mask, noise
            found.append(component.directions.direction(component.vector, frozen, data, None, True)[0])
            if component.method.needs_update:
                component.method.update(component.directions.losses(component.vector, frozen, data))
    return found


def apart(ours: torch.Tensor, expected: torch.Tensor) -> float:
    """Of the two replicas the larger distance, relative to the length."""
    return float(((ours - expected).norm(dim=-1) / expected.norm(dim=-1)).max())


def every_case(number: int) -> dict[str, object]:
    return {case: [tuple(d) for d in directions(case, ranks_of(number))] for case in CASES}


@cache
def of_one_process(case: str) -> list[Direction]:
    return directions(case, ALONE)


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_method_and_network_takes_the_direction_of_one_process(two_ranks, tmp_path: Path, ranks: int) -> None:
    """Of five tasks, so that ranks have different numbers of them; and every rank the same bits."""
    first, *others = two_ranks[1]["cases"] if ranks == 2 else run(every_case, tmp_path, ranks)
    assert len(others) == ranks - 1
    for name in CASES:
        alone = learner_of(name, ALONE)
        num_shared = [component.layouts[0].num_shared for component in (alone.critic, alone.actor)]
        for index, expected in enumerate(of_one_process(name)):
            ours, losses, weights, gram = first[name][index]
            assert torch.allclose(losses, expected.losses, rtol=1e-5), name
            shared = slice(0, num_shared[index % 2])
            assert apart(ours[:, shared], expected.gradient[:, shared]) <= TOLERANCE.get(name, 1e-6), name
            assert apart(ours, expected.gradient) <= TOLERANCE.get(name, 1e-6), name
            assert weights.shape == expected.weights.shape, name
            products = existing(expected.gram)
            assert torch.allclose(gram, products, rtol=1e-4, atol=1e-5 * float(products.abs().max())), name
        for other in others:
            for a, b in zip(first[name], other[name], strict=True):
                assert torch.equal(a[0], b[0]), name


RUN = {"method": {"name": "nash_mtl"}, "training": {"eval_every_steps": 160, "eval_episodes": 2}}


def trained(number: int, folder: str) -> dict[str, object]:
    """A run straight on; one that is stopped half-way and goes on, one that ends with the warm-up."""
    ranks = ranks_of(number)
    results: dict[str, object] = {}
    for name, steps in (("straight", 320), ("resumed", 160), ("resumed", 320), ("warm", 40)):
        result = train(small(**RUN, steps=steps), {3: Path(folder) / name}, resume=True, ranks=ranks)
        results[name] = astuple(result)
    with envs.make(TASKS_OF_ALL_KINDS, num_envs_per_task=2, horizon=4, num_workers=2, one_hot=True, peers=ranks) as env:
        results["steps"] = simulated(env)
    results["said"] = message(lambda: ranks.agree("number", lambda: ranks.number), UserError)
    return results


TASKS_OF_ALL_KINDS = ["reach-v3", envs.task_names("Points")[1], "push-v3"]


def simulated(env: envs.VectorEnv) -> list[torch.Tensor]:
    """What is observed and given in some steps, over the end of an episode, and the state."""
    random, found = np.random.default_rng(0), [env.reset()]
    for _ in range(6):
        step = env.step(random.uniform(-1, 1, (len(env.tasks), env.num_envs_per_task, env.action_size)))
        found += [step.obs, step.next_obs, step.reward, step.episode_return]
    return [torch.from_numpy(np.asarray(x)) for x in (*found, *env.state_dict().values())]


def leaves(tree: object) -> list[Any]:
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found


def state_of(folder: Path) -> dict:
    state = checkpoint.load_newest(folder / "checkpoints")
    return {name: part for name, part in state.items() if name not in ("wall_s", "pace")}


def same(a: object, b: object) -> bool:
    def equal(x: Any, y: Any) -> bool:
        return torch.equal(x, y) if isinstance(x, torch.Tensor) else np.array_equal(x, y)

    return all(map(equal, leaves(a), leaves(b))) and len(leaves(a)) == len(leaves(b))


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict]]]:
    """The folder of the runs, and what was found."""
    folder = tmp_path_factory.mktemp("ranks")
    return folder, run_all({"cases": every_case, "runs": partial(trained, folder=str(folder))}, folder)


def test_two_ranks_write_the_folder_of_one_process(two_ranks, tmp_path):
    folder, found = two_ranks
    results = found["runs"]
    assert [r["straight"] for r in results] == [(320, 35, True, False)] * 2
    alone = train(small(**RUN), {3: tmp_path / "straight"})
    assert astuple(alone) == results[0]["straight"]
    files = [{p.relative_to(f).as_posix() for p in f.rglob("*")} for f in (folder / "straight", tmp_path / "straight")]
    assert files[0] == files[1]
    assert read_state(folder / "straight").state == FINISHED
    ours, theirs = (state_of(f) for f in (folder / "straight", tmp_path / "straight"))
    assert ours.pop("ranks") == 2
    assert ours.keys() == theirs.keys()
    for a, b in zip(leaves(ours["agent"]["parameters"]), leaves(theirs["agent"]["parameters"]), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)
    evaluated = evaluate(folder / "straight")
    assert [row["name"] for row in evaluated["tasks"]] == list(envs.task_names("Points"))


def test_what_comes_before_the_first_update_has_the_bits_of_one_process(two_ranks, tmp_path):
    """Goals, actions, rewards, replay, and what is known of observations, whichever rank they are of."""
    train(small(**RUN, steps=40), {3: tmp_path / "warm"})
    ours, theirs = state_of(two_ranks[0] / "warm"), state_of(tmp_path / "warm")
    assert ours.pop("ranks") == 2
    assert same(ours, theirs)


def test_a_run_goes_on_with_as_many_ranks_bit_for_bit_and_not_with_others(two_ranks):
    folder, _ = two_ranks
    assert same(state_of(folder / "straight"), state_of(folder / "resumed"))
    with pytest.raises(UserError, match=r"checkpoints was written by 2 ranks: as many must go on, got 1"):
        train(small(**RUN, steps=640), {3: folder / "resumed"}, resume=True)


def test_environments_over_ranks_step_as_those_of_one_process(two_ranks):
    with envs.make(TASKS_OF_ALL_KINDS, num_envs_per_task=2, horizon=4, num_workers=2, one_hot=True) as env:
        expected = simulated(env)
    for results in two_ranks[1]["runs"]:
        assert all(map(torch.equal, results["steps"], expected))
        assert results["said"] == "the ranks need the same number, got rank 0: 0; rank 1: 1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"env": {"tasks": "MT1:reach-v3"}}, r"each rank needs a task of env.tasks: 2 ranks, and tasks are 1"),
        ({"agent": {"single_task": "ours"}}, r"agent.single_task must be none over ranks, got ours"),
        ({"env": {"backend": "envpool"}}, r"env.backend must be metaworld over ranks, got envpool"),
        ({"seeds": (0, 1, 2), "training": {"seeds_at_once": 2}}, r"seeds_at_once must be 0 or all 3 over ranks"),
    ],
)
def test_what_ranks_cannot_train_together_is_refused(changes, said):
    config = make_config(**changes)
    check_ranks(config, 1)
    with pytest.raises(UserError, match=said):
        check_ranks(config, 2)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "2"}, "ranks need RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT .*: RANK, MASTER_ADDR"),
        ({"RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "torchrun sets them: WORLD_SIZE missing"),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": ""}, ": MASTER_PORT missing"),
        ({"RANK": "0", "WORLD_SIZE": "two"}, "WORLD_SIZE in the environment must be a whole number, 1 at .* got 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE .* 1 at least, got '0'"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK .* 0 at least, got '-1'"),
        (TWO | {"RANK": "2"}, "RANK must be below WORLD_SIZE, which is 2, got 2"),
        (TWO | {"MASTER_PORT": "abc"}, "MASTER_PORT .* got 'abc'"),
        (TWO | {"LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE .* 1 at least, got '0'"),
    ],
)
def test_a_part_of_what_a_launcher_sets_is_refused(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process would train the whole run, alone, or wait half an hour for a rank that there is not."""
    for name in (*TWO, "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(UserError, match=said), launched():
        pass


@pytest.mark.parametrize("variables", [{}, {"RANK": "0"}, {"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "a"}])
def test_one_process_needs_no_launcher(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TWO:
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with launched() as ranks:
        assert ranks.size == 1
