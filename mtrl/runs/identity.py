"""What a run is: its configuration and its seed. A checkpoint carries it, so that none is taken for another run's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mtrl import aggregation
from mtrl.nested import flat
from mtrl.runs.errors import UserError
from mtrl.runs.invalid import first_wrong
from mtrl.runs.reading import SINGLE_TASK
from mtrl.runs.section import RunConfig

C = TypeVar("C", bound=RunConfig)
Identity = Mapping[str, Any]
"""As JSON has it."""


def identity(config: RunConfig, seed: int) -> Identity:
    """The identity of one seed of a run."""
    return {"config": config.of_seed(seed).model_dump(mode="json")}


def config_of(saved: Identity, kind: type[C], path: Path) -> C:
    """The configuration in an identity; its one seed is the run's.

    Args:
        saved: from a file.
        kind: of configuration that is wanted.
        path: of the file, for the message.

    Raises:
        UserError: it is of another kind, or of a version whose configurations were others.
    """
    try:
        return kind.model_validate_json(json.dumps(saved["config"]))
    except (ValidationError, KeyError, TypeError) as error:
        reason = str(first_wrong(error, kind)) if isinstance(error, ValidationError) else "there is none"
        raise UserError(f"{path} carries no configuration of this kind and version of run: {reason}") from error


def check_identity(saved: Identity, run: RunConfig, path: Path) -> None:
    """Refuses what belongs to another run.

    Args:
        saved: from a checkpoint.
        run: the configuration, with its one seed.
        path: of the checkpoint, for the message.

    Raises:
        UserError: names every field that differs.
    """
    if changes := differences(config_of(saved, type(run), path), run):
        raise UserError(f"checkpoint {path} is another run's: {'; '.join(changes)}")


def differences(there: RunConfig, here: RunConfig) -> list[str]:
    """The fields in which two configurations of one seed each differ, a text for each.

    Where runs run and what they are called is no matter, what a method takes by default may be said or not, and `auto`
    may be whatever the run was made with.
    """
    if there.seeds != here.seeds:
        return [f"seed {there.seeds[0]} there and {here.seeds[0]} here"]
    defaults = _defaults(here.method.name) if there.method.name == here.method.name else {}
    saved, given = (
        {
            name: value
            for name, value in (defaults | flat(c.model_dump(mode="json"))).items()
            if not {name, name.split(".")[0]} & c.may_differ
        }
        for c in (there, here)
    )
    return [
        f"{name} is {saved.get(name)!r} there and {given.get(name)!r} here"
        for name in sorted(saved.keys() | given.keys())
        if given.get(name) != saved.get(name) and not (given.get(name) == "auto" and name in here.kept_by_auto)
    ]


def _defaults(method: str) -> dict[str, Any]:
    """The hyper-parameters of a method, as a configuration would have them."""
    if method == SINGLE_TASK:
        return {}
    known = aggregation.hyperparameters(method).values()
    values = {f"method.{one.name}": one.default for one in known if one.default is not one.empty}
    return {name: json.loads(json.dumps(value, default=str)) for name, value in values.items()}
