"""What a user gives as shared parameters or heads, as the leaves of the graph that they are."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from functools import cache

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.utils.weak import WeakIdKeyDictionary

Trainable = nn.Module | Iterable[Tensor | nn.Module]
"""A module, or parameters, or several modules."""
_WHOLE = "which is not supported: keep the modules whole and give backward average=mtrl.distributed.RankAverage()"
_known = {averaged: WeakIdKeyDictionary() for averaged in (False, True)}
"""Parameters that no module holds which `check_whole` refuses: to look is slow."""


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


def check_whole(parameters: Sequence[Tensor], averaged: bool) -> None:
    """Whether parameters are trained by what reaches their `.grad`, where there are several processes.

    Args:
        parameters: leaves of the graph.
        averaged: whether `backward` averages over the ranks: `DistributedDataParallel` then has nothing left to do.

    Raises:
        ValueError: `DistributedDataParallel` holds one: it would average nothing, and the ranks would drift apart. Or
            one is split, or a copy that FSDP made of one that is.
    """
    known = _known[averaged]
    if not (dist.is_available() and dist.is_initialized()) or all(p in known for p in parameters):
        return
    if any(isinstance(p, _split_kinds()) or _is_freed(p) for p in parameters):
        raise ValueError(f"a parameter is split over processes (DTensor, FSDP), {_WHOLE}")
    _forget_when_wrapped()
    ids = {id(p) for p in parameters}
    there = gc.get_objects()
    kinds = {kind for kind in set(map(type, there)) if issubclass(kind, _wrappers())}  # of objects, to ask each is slow
    for candidate in [one for one in there if type(one) in kinds] if kinds else ():
        if any(id(p) in ids for p in candidate.parameters()):
            if not isinstance(candidate, nn.parallel.DistributedDataParallel):
                raise ValueError(f"a parameter is split over processes (FSDP), {_WHOLE}")
            if not averaged:
                raise ValueError(
                    "a parameter is in DistributedDataParallel, which averages too late for aggregation: "
                    "give backward average=mtrl.distributed.RankAverage() and the bare module"
                )
    for parameter in parameters:
        known[parameter] = True


@cache
def _forget_when_wrapped() -> None:
    """Modules that are wrapped from now on are looked at again."""

    def forget(module: nn.Module, name: str, child: nn.Module | None) -> None:
        if isinstance(module, nn.parallel.DistributedDataParallel):
            _known[False].clear()

    register_module_module_registration_hook(forget)


def _is_freed(parameter: Tensor) -> bool:
    """Whether FSDP has given a whole parameter's memory back, until the backward pass."""
    return parameter.numel() > 0 and parameter.untyped_storage().size() == 0


def _check_leaf(name: str, place: int, parameter: Tensor) -> None:
    where = f"{name} needs parameters, but tensor {place} of it, of shape {list(parameter.shape)},"
    if not parameter.is_leaf:
        raise ValueError(f"{where} is made of others: a representation goes to features")
    if isinstance(parameter, _split_kinds()):
        raise ValueError(f"{where} is split over processes (DTensor, FSDP), {_WHOLE}")


@cache
def _split_kinds() -> tuple[type, ...]:
    if not dist.is_available():
        return ()
    from torch.distributed.fsdp import FlatParameter
    from torch.distributed.tensor import DTensor

    return DTensor, FlatParameter


@cache
def _wrappers() -> tuple[type, ...]:
    from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

    return nn.parallel.DistributedDataParallel, FSDPModule, FullyShardedDataParallel
