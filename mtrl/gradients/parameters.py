"""What a user gives as shared parameters or heads, as the leaves of the graph that they are."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from functools import cache

import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

Trainable = nn.Module | Iterable[Tensor | nn.Module]
"""A module, or parameters, or several modules."""
_bare: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""Parameters that are known to be in no `DistributedDataParallel`: to look is slow."""


def trained(name: str, given: Trainable) -> list[Tensor]:
    """Each parameter once, frozen ones left out.

    Args:
        name: of the argument, for the messages.
        given: what the user has.

    Raises:
        TypeError: this is something else.
        ValueError: a tensor is no leaf of the graph, or it is split over processes.
    """
    if isinstance(given, Tensor):
        raise TypeError(f"{name} needs to be a module or a list of parameters, got a tensor: write [tensor]")
    if not isinstance(given, nn.Module | Iterable) or isinstance(given, str):
        raise TypeError(f"{name} needs to be a module or a list of parameters, got {type(given).__name__}")
    found: dict[int, Tensor] = {}
    for item in [given] if isinstance(given, nn.Module) else given:
        if not isinstance(item, Tensor | nn.Module):
            hint = ": parameters(), not named_parameters()" if isinstance(item, tuple | str) else ""
            raise TypeError(f"{name} needs parameters or modules, got a {type(item).__name__} among them{hint}")
        for parameter in [item] if isinstance(item, Tensor) else item.parameters():
            if parameter.requires_grad:
                found[id(parameter)] = parameter
    for place, parameter in enumerate(found.values()):
        _check_leaf(name, place, parameter)
    return [*found.values()]


def check_bare(parameters: Sequence[Tensor]) -> None:
    """Whether no `DistributedDataParallel` holds a parameter, where there are several processes.

    Raises:
        ValueError: one does: it would average nothing, and the ranks would drift apart.
    """
    if not (dist.is_available() and dist.is_initialized()) or all(p in _bare for p in parameters):
        return
    known = {id(p) for p in parameters}
    for candidate in gc.get_objects():
        if issubclass(type(candidate), nn.parallel.DistributedDataParallel) and any(
            id(p) in known for p in candidate.parameters()
        ):
            raise ValueError(
                "a parameter is in DistributedDataParallel, which averages too late for aggregation: "
                "give backward average=mtrl.distributed.RankAverage() and the bare module"
            )
    for parameter in parameters:
        _bare[parameter] = True


def _check_leaf(name: str, place: int, parameter: Tensor) -> None:
    where = f"{name} needs parameters, but tensor {place} of it, of shape {list(parameter.shape)},"
    if not parameter.is_leaf:
        raise ValueError(f"{where} is made of others: a representation goes to features")
    if isinstance(parameter, _split_kinds()):
        raise ValueError(f"{where} is split over processes (DTensor, FSDP), which is not supported")


@cache
def _split_kinds() -> tuple[type, ...]:
    if not dist.is_available():
        return ()
    from torch.distributed.fsdp import FlatParameter
    from torch.distributed.tensor import DTensor

    return DTensor, FlatParameter
