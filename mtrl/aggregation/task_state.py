"""What a method remembers of each task, from call to call, and of some of the tasks in a call that has only these."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from mtrl.aggregation.solvers.per_task import Numbers, check_number


class TaskState(nn.Module):
    """A module with open buffers: None until the first call decides their shape.

    They are in `state_dict()` from then on, and so are the names of the tasks, if these have names.
    """

    task_axes: dict[str, tuple[int, ...]]
    """The axes of each open buffer, by name, that go over the tasks, without leading axes."""
    fair: set[str]
    """Open buffers where a task that is new begins at the mean of the others, along the last axis."""
    task_names: tuple[str, ...] | None
    """Names of the tasks that the state is of, in its order; None if they go by their places."""
    held_weights: Tensor | None
    """`[T]`, on the host: the weights that a training loop reuses between two calls, NaN for a task without; None if it
    does not."""
    held_for: Tensor | None
    """Calls that these weights have served, int64."""

    def __init__(self) -> None:
        super().__init__()
        self.task_axes = {}
        self.fair = set()
        self.task_names = None
        self.open_buffer("held_weights")
        self.open_buffer("held_for")
        self.register_state_dict_post_hook(_save_names)
        self.register_load_state_dict_pre_hook(_make_room)

    def open_buffer(self, name: str, *task_axes: int, fair: bool = False) -> None:
        """Registers a buffer whose shape the first call decides; `task_axes` and `fair` as in the attributes."""
        self.task_axes[name] = task_axes
        if fair:
            self.fair.add(name)
        self.register_buffer(name, None)

    def remembered(self, name: str, initial: Tensor) -> Tensor:
        """The state `name`: `initial` at the first call, then what `remember` left.

        Where the state is NaN, as `of_tasks` makes it for a task that is new, it is the initial one, too. It goes to
        the device of `initial`: one that was loaded is on the CPU.

        Args:
            name: of an open buffer.
            initial: its first value, in the shape of all later ones.

        Raises:
            ValueError: the method has been used with other numbers of tasks or leading axes.
        """
        value = self.moved(name, initial)
        if value is None:
            value = initial.clone()
            setattr(self, name, value)
        elif value.shape != initial.shape:
            used, got = list(value.shape), list(initial.shape)
            raise ValueError(f"{self} has been used with a {name} of shape {used}, got {got}: make a new one")
        else:
            value.copy_(torch.where(value.isnan(), initial, value))
        return value

    def moved(self, name: str, like: Tensor) -> Tensor | None:
        """The state `name` on the device of another tensor, where it stays."""
        value: Tensor | None = getattr(self, name)
        if value is not None and value.device != like.device:
            value = value.to(like.device)
            setattr(self, name, value)
        return value

    def remember(self, name: str, value: Tensor) -> None:
        """Replaces the state `name`, but for rows (last axis) that are not finite: a bad step leaves no trace."""
        old = getattr(self, name)
        old.copy_(torch.where(value.isfinite().all(-1, keepdim=True), value, old))

    def forget(self) -> None:
        """Begins anew, where networks do: open buffers take their initial values at the next call.

        Positions in random streams go on; a method that counts its calls in a buffer of its own sets it back here.
        """
        for name in self.task_axes:
            value = getattr(self, name)
            if value is not None and value.is_floating_point():
                value.fill_(torch.nan)  # in place, for compiled functions hold it

    def held(self, index: Sequence[int], every: int, like: Tensor) -> Tensor | None:
        """The weights of some tasks that a call may reuse, `[len(index)]`; None if the method is to be asked.

        Args:
            index: places of the tasks in the state.
            every: calls that the weights may serve.
            like: gives dtype and device.
        """
        if self.held_weights is None or self.held_for is None:
            return None
        if int(self.held_for) >= every or max(index) >= len(self.held_weights):
            return None
        weights = self.held_weights[list(index)]
        return weights.to(like) if bool(weights.isfinite().all()) else None

    def hold(self, weights: Tensor, index: Sequence[int], total: int, again: bool) -> None:
        """Keeps the weights that a call has used for the next ones, if they are finite.

        Args:
            weights: `[len(index)]`.
            index: places of the tasks in the state.
            total: number of tasks in the state; the others have no weight then.
            again: whether the weights are held ones, which have now served one call more.
        """
        if again and self.held_for is not None:
            self.held_for.add_(1)
        elif bool(weights.isfinite().all()):
            self.held_weights = torch.full((total,), torch.nan, dtype=weights.dtype, device="cpu")
            self.held_weights[list(index)] = weights.cpu()
            self.held_for = torch.tensor(1, device="cpu")

    def places(self, names: Sequence[str] | None, number: int) -> tuple[list[int], int]:
        """Places of a call's tasks in the state, and for how many tasks there is room then; `learn` tells it the names.

        Args:
            names: of the tasks; None: they go by their places.
            number: of the tasks.

        Raises:
            ValueError: the names are not one for each task, or the method has so far been used with other numbers of
                tasks, or with names where there are none.
        """
        known = self.task_names or ()
        if known and names is None:
            raise ValueError(f"{self} has been used with named tasks, {list(known)}: tasks needs to name these, too")
        if names is not None:
            check_names(names, number)
        if not known:
            self._check_size(number)
        if names is None:
            return list(range(number)), number
        known = self._with(names)
        return [known.index(name) for name in names], len(known)

    def learn(self, names: Sequence[str] | None) -> None:
        """Remembers the names of a call's tasks, once it is not refused."""
        if names is not None:
            self.task_names = self._with(names)

    def _with(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names that are known, and then those of a call that are not."""
        known = self.task_names or ()
        return (*known, *(name for name in names if name not in known))

    @contextmanager
    def of_tasks(self, index: Sequence[int], total: int) -> Iterator[None]:
        """A block in which the state and the numbers per task are those of some tasks; what the others have stays.

        Args:
            index: places of the tasks, in the order of the call, which has no more leading axes than `task_axes` says.
            total: number of tasks that there is state for; new ones begin as in a first call.
        """
        if list(index) == list(range(total)) and self._size() in (None, total):
            yield
            return
        whole = {name: getattr(self, name) for name in self.task_axes}
        given = {name: value for name, value in vars(self).items() if isinstance(value, Numbers)}
        for name, values in given.items():
            check_number(type(self).__name__, name, values, total)
        try:
            for name, values in given.items():
                setattr(self, name, Numbers(values[i] for i in index))
            for name, axes in self.task_axes.items():
                if whole[name] is not None:
                    setattr(self, name, _taken(self._begun(name, _grown(whole[name], axes, total)), axes, index))
            yield
            for name, axes in self.task_axes.items():
                left = _put(whole[name], getattr(self, name), axes, index, total)
                whole[name] = None if left is None else self._begun(name, left)
        finally:
            for name, kept in (given | whole).items():
                setattr(self, name, kept)

    def _begun(self, name: str, value: Tensor) -> Tensor:
        """The state with the first values of tasks that are new, where it is `fair`."""
        return torch.where(value.isnan(), value.nanmean(-1, keepdim=True), value) if name in self.fair else value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the state with the model that the method is in; a cast of the model (`half()`) leaves its dtype."""

        def moved(state: Tensor) -> Tensor:
            result = fn(state)
            return result if result.dtype == state.dtype else state.to(result.device)

        return super()._apply(moved, recurse)

    def _size(self) -> int | None:
        """Number of the tasks that there is state for; None without any."""
        for name, axes in self.task_axes.items():
            value = getattr(self, name)
            if value is not None and axes:
                return int(value.shape[axes[0]])
        return None if self.held_weights is None else len(self.held_weights)

    def _check_size(self, number: int) -> None:
        size = self._size()
        if size not in (None, number):
            raise ValueError(
                f"{self} has been used with {size} tasks, got {number}: say which by tasks=[names] from the first "
                "call on, or give None for the loss of an absent one"
            )


def check_names(names: Sequence[str], number: int) -> None:
    """Whether there is a name for each of a number of tasks.

    Raises:
        ValueError: there is not, or two are equal.
    """
    are_several = isinstance(names, Collection) and not isinstance(names, str)
    if not are_several or len(names) != number or not all(isinstance(name, str) for name in names):
        raise ValueError(f"tasks needs a name for each of the {number} losses, got {names!r}")
    if len(set(names)) < number:
        raise ValueError(f"tasks needs names that differ, got {list(names)}")


def _save_names(state: TaskState, state_dict: dict[str, Any], prefix: str, _: Any) -> None:
    if state.task_names is not None:
        # A tensor like the rest, for what knows nothing else: safetensors, averages of weights.
        text = json.dumps(state.task_names).encode()
        state_dict[prefix + "task_names"] = torch.tensor([*text], dtype=torch.uint8)


def _make_room(state: TaskState, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """What loading begins with: an open buffer takes the saved shape, or is None again where none was saved."""
    names = state_dict.pop(prefix + "task_names", None)
    if isinstance(names, Tensor):  # else of 0.2.0, which saved the list
        names = json.loads(bytes(names.tolist()))
    state.task_names = None if names is None else tuple(names)
    for name in state.task_axes:
        saved = state_dict.get(prefix + name)
        if saved is None or getattr(state, name) is None:
            setattr(state, name, None if saved is None else saved.clone())


def _grown(value: Tensor, axes: Sequence[int], total: int) -> Tensor:
    """The state with room for `total` tasks along these axes; NaN for new ones."""
    shape = list(value.shape)
    for axis in axes:
        shape[axis] = max(total, shape[axis])
    if shape == list(value.shape):
        return value
    grown = value.new_full(shape, torch.nan)
    grown[tuple(slice(size) for size in value.shape)] = value
    return grown


def _taken(value: Tensor, axes: Sequence[int], index: Sequence[int]) -> Tensor:
    """The state of some tasks, in this order."""
    if not axes:
        return value
    places = torch.tensor(index, device=value.device)
    for axis in axes:
        value = value.index_select(axis, places)
    return value


def _put(
    whole: Tensor | None, part: Tensor | None, axes: Sequence[int], index: Sequence[int], total: int
) -> Tensor | None:
    """The whole state with what became of a part of it."""
    if part is None or not axes:
        return part
    shape = list(part.shape)
    for axis in axes:
        shape[axis] = total
    whole = part.new_full(shape, torch.nan) if whole is None else _grown(whole, axes, total).clone()
    at: list[slice | Tensor] = [slice(None)] * part.ndim
    places = torch.tensor(index, device=part.device)
    for number, axis in enumerate(axes):
        at[axis] = places.view(-1, *[1] * (len(axes) - 1 - number))
    whole[tuple(at)] = part
    return whole
