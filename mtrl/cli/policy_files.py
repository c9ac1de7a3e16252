"""The policy of a run as files for others: its weights, its configuration and evaluations, and a model card."""

import shutil
from pathlib import Path

from mtrl.agents.config import Config
from mtrl.protocols import EVALUATION_FILES
from mtrl.report import caption, evaluation_rows, markdown, read_evaluation
from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.files import write_atomically
from mtrl.runs.folder import load_config, save_config
from mtrl.runs.identity import identity
from mtrl.runs.metrics_file import read_events
from mtrl.runs.policy_only import newest, policy_of

_FRONT = """---
library_name: mtrl
pipeline_tag: reinforcement-learning
tags: [reinforcement-learning, multi-task-learning, {method}]
---
"""
_OURS = "library_name: mtrl"
_OF_A_RUN = ("metrics.jsonl", "lock", "seed_*")
_REPLACED = ("README.md", "config.yaml", "checkpoints", *EVALUATION_FILES.values())


def check_target(folder: Path, out: Path) -> None:
    """Refuses to fill a folder in which that would destroy something.

    Args:
        folder: of the run.
        out: that is to be filled; one that `write_policy` has filled before is fine.

    Raises:
        UserError: it is the run's or holds it, it is another run's, or holds other files of these names.
    """
    if folder.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{out} holds the run {folder} itself: a policy needs a folder of its own")
    if found := [path.name for name in _OF_A_RUN for path in sorted(out.glob(name))]:
        raise UserError(f"{out} is the folder of a run, it has {found[0]}: a policy needs a folder of its own")
    card = out / "README.md"
    if card.is_file() and _OURS in card.read_text(encoding="utf-8", errors="replace"):
        return
    if found := [name for name in _REPLACED if (out / name).exists()]:
        raise UserError(f"{out / found[0]} would be replaced, and no model card of mtrl's is beside it: move it away")


def write_policy(folder: Path, out: Path, word: str) -> None:
    """Fills a folder with a run's policy, in the form of a run's folder, and a model card.

    Where it was trained is no matter: output folder, device and tracker are those of a new configuration.

    Args:
        folder: of one seed of a run.
        out: where to write; what is there of a policy is replaced.
        word: by which `MultiTaskSAC.load` will have it, for the card.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    config = load_config(folder, Config)
    seed, source, fields = config.seeds[0], newest(folder / "checkpoints"), Config.model_fields
    clean = config.model_copy(update={name: fields[name].default for name in ("out", "device", "track")})
    state = checkpoint.load(folder / "checkpoints", int(source.stem), config)
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    about = {**identity(clean, seed), "step": int(source.stem)}
    checkpoint.write(out / "checkpoints" / source.name, *policy_of(state, about))
    for old in {*(out / "checkpoints").glob("*.pt")} - {out / "checkpoints" / source.name}:
        old.unlink()
    save_config(out, clean, seed)
    for file in EVALUATION_FILES.values():
        (out / file).unlink(missing_ok=True)
        if (folder / file).is_file():
            shutil.copyfile(folder / file, out / file)
    write_atomically(out / "README.md", _model_card(folder, config, word))


def _model_card(folder: Path, config: Config, word: str) -> str:
    """What the policy is, how it is used, what it reaches, and what made it."""
    method, seed = config.method.name, config.seeds[0]
    step = int(newest(folder / "checkpoints").stem)
    parts = [
        f"{_FRONT.format(method=method)}\n# {config.name}, seed {seed}",
        f"Multi-task SAC whose per-task gradients go through `{method}`, after {step:,} environment steps; "
        "`config.yaml` has every setting.",
        f'```python\nfrom mtrl.agents import MultiTaskSAC\n\nmodel = MultiTaskSAC.load("{word}")\n```',
    ]
    for file in EVALUATION_FILES.values():
        if (folder / file).is_file():
            result = read_evaluation(folder / file)
            parts += ["## Evaluation", markdown(*evaluation_rows(result)), caption(result.protocol, result.simulator)]
    starts = [event for event in read_events(folder / "metrics.jsonl") if event["kind"] == "start"]
    if starts:
        versions = ", ".join(f"{package} {version}" for package, version in starts[-1]["versions"].items())
        commit = starts[-1].get("git_commit") or "unknown"
        parts += ["## Made with", f"{versions}; commit {commit}; {starts[-1]['hardware']}."]
    return "\n\n".join(parts) + "\n"
