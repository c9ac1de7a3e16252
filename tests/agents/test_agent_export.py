"""Exported policies are the policy, whatever it is made of."""

import json
from typing import get_args

import numpy as np
import onnxruntime
import pytest
import torch

from mtrl import envs
from mtrl.agents import Config, UserError
from mtrl.agents.export import export_policy
from mtrl.agents.factory import make_learner
from mtrl.agents.networks import ConditioningConfig
from mtrl.agents.networks.network_config import Ours
from mtrl.agents.saved_policy import load_policy
from mtrl.runs import checkpoint, devices
from mtrl.runs.folder import save_config
from mtrl.runs.identity import identity
from tests.agents.conftest import make_config
from tests.agents.test_agent_single_task import AGENT

TASKS = ("reach-v3", "push-v3")
KINDS = get_args(Ours)
ENCODINGS = get_args(ConditioningConfig.model_fields["encoding"].annotation)
CONDITIONING: dict[str, dict[str, str | bool]] = {
    "mlp": {"encoding": "none", "heads": True},
    "residual": {"encoding": "one_hot"},
    "simba": {"encoding": "film"},
    **{kind: {"encoding": "embedding"} for kind in ("soft_modular", "care", "paco", "moore")},
}
"""How each kind of network is told the task: each way has its turn."""


def write_run(folder, training=None, **agent):
    """An untrained run whose parameters are large enough that actions differ."""
    config: Config = make_config(env={"tasks": TASKS}, training=training or {}, agent=agent)
    learner = make_learner(config, envs.task_infos(TASKS), torch.device("cpu"), (3,))
    generator = torch.Generator().manual_seed(0)
    state = learner.state_dict(0)
    for tree in state.get("tasks", [state]):
        tensors = tree["parameters"]["actor"] if "parameters" in tree else list(tree["policy"].values())
        for tensor in tensors:
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.2)
    checkpoint.save(folder / "checkpoints", 3000, {"step": 3000, "agent": state}, identity(config, 3))
    save_config(folder, config, 3)
    return folder


def check(folder, out, formats=("onnx", "torch"), tolerance=1e-5):
    """Both files against the policy itself, for several numbers of rows; tasks in any order."""
    files = {exported.path.suffix: exported.path for exported in export_policy(folder, out, formats)}
    policy = load_policy(folder, "cpu").policy
    draw = np.random.default_rng(0)
    observation = draw.normal(size=(len(TASKS), 4, 39)).astype(np.float32)
    expected = policy(observation)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    flat, task = observation.reshape(-1, 39), np.repeat(np.arange(len(TASKS)), 4)
    for chosen in (np.arange(8), draw.permutation(8)[:5], np.array([7])):
        want = expected.reshape(-1, 4)[chosen]
        if ".onnx" in files:
            session = onnxruntime.InferenceSession(files[".onnx"])
            (got,) = session.run(["action"], {"observation": flat[chosen], "task": task[chosen]})
            assert np.abs(got - want).max() < tolerance
        if ".pt2" in files:
            program = torch.export.load(files[".pt2"]).module()
            got = program(torch.as_tensor(flat[chosen]), torch.as_tensor(task[chosen]))
            assert np.abs(got.numpy() - want).max() < tolerance
    for none in (-1, len(TASKS)):
        task = np.array([none])
        if ".onnx" in files:
            with pytest.raises(Exception, match="invalid index"):
                session.run(["action"], {"observation": flat[:1], "task": task})
        if ".pt2" in files:
            with pytest.raises(IndexError):
                program(torch.as_tensor(flat[:1]), torch.as_tensor(task))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_and_way_to_know_the_task(kind, tmp_path):
    network = {"kind": kind, "width": 16, "depth": 2 if kind == "soft_modular" else 1}
    check(write_run(tmp_path, actor=network, conditioning=CONDITIONING[kind]), tmp_path / "out")


def test_heads_beside_an_embedding(tmp_path):
    assert {conditioning["encoding"] for conditioning in CONDITIONING.values()} == {*ENCODINGS}
    write_run(tmp_path, conditioning={"encoding": "embedding", "heads": True})
    check(tmp_path, tmp_path / "out", ["onnx"])


@pytest.mark.parametrize("kind", ["ours", "stable_baselines3"])
def test_single_task_agents(kind, tmp_path):
    check(write_run(tmp_path, **AGENT, single_task=kind), tmp_path / "out")


def test_task_blind_network_takes_any_task(tmp_path):
    write_run(tmp_path, conditioning={"encoding": "none", "heads": False})
    (exported,) = export_policy(tmp_path, tmp_path, ["torch"])
    observation = torch.randn(1, 39).expand(2, 39)
    action = torch.export.load(exported.path).module()(observation, torch.arange(2))
    assert action.shape == (2, 4)
    torch.testing.assert_close(action[0], action[1])


def test_a_bfloat16_run_is_exported_in_float32(tmp_path):
    folder = write_run(tmp_path, training={"precision": "bfloat16"})
    assert load_policy(folder, "cpu").config.training.precision == "bfloat16"
    check(folder, tmp_path / "out", ["onnx"], tolerance=0.1)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "policy.onnx")
    assert {x.type for x in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)", "tensor(int64)"}


def test_names_metadata_and_printed_examples(tmp_path):
    write_run(tmp_path)
    onnx, program = export_policy(tmp_path, tmp_path / "out")
    session = onnxruntime.InferenceSession(onnx.path)
    assert [(x.name, x.shape[1:]) for x in session.get_inputs()] == [("observation", [39]), ("task", [])]
    assert [(x.name, x.shape[1:]) for x in session.get_outputs()] == [("action", [4])]
    assert all(isinstance(x.shape[0], str) for x in session.get_inputs())
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["tasks"]) == list(TASKS)
    assert (metadata["observation_size"], metadata["config"], metadata["step"]) == ("39", "mt10", "3000")
    expected = load_policy(tmp_path, "cpu").policy(np.zeros((2, 1, 39)))[0]
    for exported in (onnx, program):
        assert len(exported.example.splitlines()) == 5
        names: dict = {}
        exec(exported.example, names)
        assert names["tasks"] == list(TASKS)
        np.testing.assert_allclose(np.asarray(names["action"].tolist()), expected, atol=1e-5)
    assert json.loads(names["files"]["metadata.json"])["seed"] == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["policy.onnx", "policy.pt2"]


def test_a_process_that_loads_a_policy_keeps_its_threads(tmp_path):
    write_run(tmp_path)
    with devices.threads(3):
        load_policy(tmp_path, "cpu")
        assert torch.get_num_threads() == 3


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        export_policy(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
