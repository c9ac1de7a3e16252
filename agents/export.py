"""A policy as one file that needs none of this: ONNX, or a program of `torch.export`.

Axes: `N` rows, `T` tasks, `O` observation, `A` action.
"""

import io
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from mtrl.agents.interface import ActorFunction
from mtrl.agents.saved_policy import SavedPolicy, load_policy
from mtrl.extras import install
from mtrl.runs import devices, versions
from mtrl.runs.files import replacing

_OUTPUT = "action"
_METADATA = "metadata.json"


class Exported(NamedTuple):
    """A file that was written."""

    path: Path
    example: str
    """Python that loads it and acts."""


class RowsPolicy(torch.nn.Module):
    """Deterministic actions of rows that may belong to different tasks.

    Every task's action is computed for every row and the row's own is taken: the network is small, and so each kind
    of it is a plain graph in which `N` is free.
    """

    def __init__(self, actor: ActorFunction, num_tasks: int) -> None:
        super().__init__()
        self._action, self._shared, self._own = actor.action, list(actor.shared), list(actor.own)
        self._num_tasks = num_tasks
        for number, tensor in enumerate([*actor.shared.values(), *actor.own.values()]):
            self.register_buffer(f"parameter{number}", tensor.clone())

    def forward(self, observation: Tensor, task: Tensor) -> Tensor:
        """Actions `[N, A]` in (-1, 1).

        Args:
            observation: `[N, O]`, float32.
            task: `[N]`, int64, each in [0, T); another is an error of the runtime.
        """
        task = torch.where(task < 0, self._num_tasks, task)  # a negative index would count from the last task
        tensors = list(self.buffers())
        shared = dict(zip(self._shared, tensors, strict=False))
        own = dict(zip(self._own, tensors[len(shared) :], strict=True))
        actions = [
            self._action(shared, {name: t[i] for name, t in own.items()}, observation) for i in range(self._num_tasks)
        ]
        return torch.stack(actions)[task, torch.arange(observation.shape[0], device=observation.device)]


@devices.threads(1)
def export_policy(folder: Path, out: Path, formats: Sequence[str] = ("onnx", "torch")) -> list[Exported]:
    """Writes the newest checkpoint's deterministic policy, in float32 whatever the run's precision.

    Args:
        folder: of one seed of a run.
        out: folder to write `policy.onnx` and `policy.pt2` into; each is replaced whole or not at all.
        formats: `onnx` or `torch` or both.

    Raises:
        UserError: there is no run or no readable checkpoint.
        ModuleNotFoundError: names the extra that is missing.
    """
    if "onnx" in formats and not (find_spec("onnx") and find_spec("onnxscript")):
        raise ModuleNotFoundError(
            f"ONNX needs onnx and onnxscript: {install('export')}; --format torch needs nothing", name="onnx"
        )
    saved = load_policy(folder, "cpu", precision="float32")
    program, metadata = _program(saved), _metadata(saved)
    out.mkdir(parents=True, exist_ok=True)
    return [_WRITERS[name](program, metadata, out) for name in formats]


def _program(saved: SavedPolicy) -> ExportedProgram:
    size, rows = saved.sizes.observation, Dim("N")
    example = torch.zeros(3, size), torch.zeros(3, dtype=torch.int64)
    policy = RowsPolicy(saved.actor, len(saved.tasks)).eval()
    return torch.export.export(policy, example, dynamic_shapes={"observation": {0: rows}, "task": {0: rows}})


def _metadata(saved: SavedPolicy) -> dict[str, Any]:
    env = saved.config.env
    return {
        "tasks": list(saved.tasks),
        "observation_size": saved.sizes.observation,
        "action_size": saved.sizes.action,
        "observation_sizes": [info.observation for info in saved.infos],
        "action_sizes": [info.action for info in saved.infos],
        "one_hot": env.one_hot,
        "goals_visible": env.goals_visible,
        "config": saved.config.name,
        "seed": saved.config.seeds[0],
        "step": saved.step,
        "versions": versions.packages(),
    }


def _write_onnx(program: ExportedProgram, metadata: dict[str, Any], out: Path) -> Exported:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own use of torch
        converted = torch.onnx.export(program, dynamo=True, output_names=[_OUTPUT], verbose=False)
    assert converted is not None
    for name, value in metadata.items():
        converted.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
    path = out / "policy.onnx"
    with replacing(path) as file:
        file.write(converted.model_proto.SerializeToString())
    example = f"""import json, numpy as np, onnxruntime
session = onnxruntime.InferenceSession({str(path)!r})
tasks = json.loads(session.get_modelmeta().custom_metadata_map["tasks"])
observation, task = np.zeros((1, {metadata["observation_size"]}), np.float32), np.array([{_task(metadata)}])
action = session.run(["{_OUTPUT}"], {{"observation": observation, "task": task}})[0]"""
    return Exported(path, example)


def _write_torch(program: ExportedProgram, metadata: dict[str, Any], out: Path) -> Exported:
    path, content = out / "policy.pt2", io.BytesIO()
    torch.export.save(program, content, extra_files={_METADATA: json.dumps(metadata)})
    with replacing(path) as file:
        file.write(content.getvalue())
    example = f"""import json, torch
policy = torch.export.load({str(path)!r}, extra_files=(files := {{"{_METADATA}": ""}})).module()
tasks = json.loads(files["{_METADATA}"])["tasks"]
observation, task = torch.zeros(1, {metadata["observation_size"]}), torch.tensor([{_task(metadata)}])
action = policy(observation, task)"""
    return Exported(path, example)


def _task(metadata: dict[str, Any]) -> str:
    return f"tasks.index({metadata['tasks'][0]!r})"


_WRITERS: dict[str, Callable[[ExportedProgram, dict[str, Any], Path], Exported]] = {
    "onnx": _write_onnx,
    "torch": _write_torch,
}
FORMATS = tuple(_WRITERS)
