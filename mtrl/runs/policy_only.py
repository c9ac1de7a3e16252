"""What stays of a finished run's checkpoints where its policy is all that is wanted: a megabyte of some hundred."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrl.runs import checkpoint
from mtrl.runs.errors import UserError
from mtrl.runs.identity import Identity
from mtrl.runs.tree_file import read_about

_MARK = "policy_only"
_KEPT = ("step", "wall_s", "agent", "job")
"""Of a state; a run has an agent or, supervised, a job."""
_OF_TRAINING = {"critic", "critic_target", "methods", "target"}
"""What an agent acts without, by the first part of its name; moments of an optimizer are emptied apart."""


def keep_policy(checkpoints: Path) -> None:
    """Leaves the newest checkpoint of a run, without replay, environments, critics and what optimizers have gathered.

    It can be evaluated, filmed and exported as before; whoever goes on training from it is refused.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
        OSError: the disk is full, say; all is as it was then.
    """
    if has_policy_only(checkpoints):
        return
    path = newest(checkpoints)
    saved = checkpoint.read(path)
    checkpoint.write(path, *policy_of(saved.tree, saved.about))
    for step in checkpoint.steps(checkpoints)[:-1]:
        (checkpoints / checkpoint.name(step)).unlink()


def policy_of(state: Mapping[str, Any], about: Identity) -> tuple[dict[str, Any], Identity]:
    """What stays of a state, and what is to be said of it in its file."""
    kept = {name: _without_gathered(state[name]) for name in _KEPT if name in state}
    if "agent" in kept:
        kept["agent"] = _without_training(kept["agent"])
    return kept | {_MARK: True}, {**about, _MARK: True}


def whole_agent(state: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """The agent of a state; where only its policy was kept, what it lacks is as a new one has it.

    Args:
        state: of a run.
        new: the state of a new agent of the same configuration.
    """
    return _over(new, state["agent"]) if _MARK in state else state["agent"]


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


def _without_training(tree: Any) -> Any:
    """A tree without what only training needs."""
    if isinstance(tree, Mapping):
        acting = (name for name in tree if name.partition(".")[0] not in _OF_TRAINING)
        return {name: _without_training(tree[name]) for name in acting}
    return [_without_training(value) for value in tree] if isinstance(tree, list) else tree


def _over(new: Any, kept: Any) -> Any:
    """A tree of new values, with those that were kept in their places."""
    if isinstance(new, Mapping) and isinstance(kept, Mapping):
        return {**new, **{name: _over(new.get(name), value) for name, value in kept.items()}}
    if isinstance(new, list) and isinstance(kept, list) and len(new) == len(kept):
        return [_over(*pair) for pair in zip(new, kept, strict=True)]
    return kept


def _without_gathered(tree: Any) -> Any:
    """A tree whose optimizers are as new."""
    if isinstance(tree, Mapping):
        if set(tree) == {"state", "param_groups"}:
            return {"state": {}, "param_groups": tree["param_groups"]}
        return {name: _without_gathered(value) for name, value in tree.items()}
    return [_without_gathered(value) for value in tree] if isinstance(tree, list) else tree
