"""What stays of a finished run's checkpoints where its policy is all that is wanted: some megabytes of some hundred."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.tree_file import read_about

_MARK = "policy_only"
_KEPT = ("step", "wall_s", "agent", "job")
"""Of a state; a run has an agent or, supervised, a job."""


def keep_policy(checkpoints: Path) -> None:
    """Leaves the newest checkpoint of a run, without replay, environments and what its optimizers have gathered.

    It can be evaluated, filmed and exported as before; whoever goes on training from it is refused.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
        OSError: the disk is full, say; all is as it was then.
    """
    if has_policy_only(checkpoints):
        return
    path = newest(checkpoints)
    saved = checkpoint.read(path)
    kept = {name: _without_gathered(saved.tree[name]) for name in _KEPT if name in saved.tree}
    checkpoint.write(path, kept | {_MARK: True}, saved.about | {_MARK: True})
    for step in checkpoint.steps(checkpoints)[:-1]:
        (checkpoints / checkpoint.name(step)).unlink()


def has_policy_only(checkpoints: Path) -> bool:
    """Whether `keep_policy` was done here.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    path = newest(checkpoints)
    try:
        about = read_about(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})") from error
    return _MARK in about and len(checkpoint.steps(checkpoints)) == 1


def newest(checkpoints: Path) -> Path:
    """The file of the newest checkpoint.

    Raises:
        UserError: there is none.
    """
    if not (steps := checkpoint.steps(checkpoints)):
        raise UserError(f"no checkpoint in {checkpoints}")
    return checkpoints / checkpoint.name(steps[-1])


def refuse_policy_only(state: Mapping[str, Any], place: Path) -> None:
    """Refuses to train on from such a state.

    Raises:
        UserError: it is one.
    """
    if _MARK in state:
        raise UserError(f"{place} holds the policy alone, as was asked for (keep: policy): it cannot be trained on")


def _without_gathered(tree: Any) -> Any:
    """The same with the state dicts of optimizers as new ones have them."""
    if isinstance(tree, Mapping):
        if set(tree) == {"state", "param_groups"}:
            return {"state": {}, "param_groups": tree["param_groups"]}
        return {name: _without_gathered(value) for name, value in tree.items()}
    return [_without_gathered(value) for value in tree] if isinstance(tree, list) else tree
