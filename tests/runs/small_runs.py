"""A run of reinforcement learning and one of supervised learning, as small as they can be, made without the command."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from mtrl.agents import Config, train
from mtrl.benchmarks import SupervisedConfig
from mtrl.runs import checkpoint
from mtrl.supervised import train as train_supervised

NETWORK = {"kind": "mlp", "width": 8, "depth": 1}
TREE: dict[str, Any] = {
    "name": "small",
    "steps": 320,
    "device": "cpu",
    "env": {"tasks": "Points", "horizon": 10, "num_envs_per_task": 2, "num_workers": 1},
    "method": {"name": "pcgrad"},
    "agent": {"actor": NETWORK, "critic": NETWORK, "num_atoms": 5},
    "training": {
        "warmup_steps": 40,
        "updates_per_vector_step": 1,
        "batch_per_task": 4,
        "log_every_steps": 80,
        "checkpoint_every_steps": 160,
        "replay_capacity_per_task": 100,
        "threads": 1,
        "precision": "float32",
    },
    "evaluation": {"episodes": 2, "horizon": 10},
}
TOY = {"benchmark": {"name": "toy", "steps_per_epoch": 3}, "threads": 1, "epochs": 2, "device": "cpu"}


def small(**changes: Any) -> Config:
    tree = {name: {**TREE[name], **value} if isinstance(value, dict) else value for name, value in changes.items()}
    return Config.model_validate(TREE | tree)


def toy(**changes: Any) -> SupervisedConfig:
    return SupervisedConfig.model_validate(TOY | changes)


def trained(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Checkpoints of steps 160 and 320."""
    train(small(**changes), {seed: folder})
    return folder


def trained_toy(folder: Path, **changes: Any) -> Path:
    train_supervised(toy(**changes), 0, folder)
    return folder


def newest(folder: Path) -> Path:
    return sorted((folder / "checkpoints").iterdir())[-1]


def rewritten(folder: Path, state: dict[str, Any], **about: Any) -> None:
    """The newest checkpoint with another state, its checksum right."""
    path = newest(folder)
    checkpoint.write(path, state, checkpoint.read(path).about | about)


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def malicious_files(folder: Path, mark: Path) -> dict[str, Path]:
    """Pickles that make `mark`, zipped by torch and not, and one in a file that begins as ours do."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"step": 320, "state": Touch(mark)}, folder / "zipped.pt")
    torch.save({"state": Touch(mark)}, folder / "plain.pt", _use_new_zipfile_serialization=False)
    (folder / "bare.pt").write_bytes(pickle.dumps(Touch(mark)))
    (folder / "disguised.pt").write_bytes(b"mtrl tree 1\n" + pickle.dumps(Touch(mark)))
    with zipfile.ZipFile(folder / "stored.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Touch(mark)))
    return {path.stem: path for path in folder.iterdir()}
