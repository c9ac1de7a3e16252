"""Callbacks of `MultiTaskSAC.learn`, in the forms that Stable-Baselines3 has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mtrl.agents.replica import Replica

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

    Names = dict[str, Any]
    Callback = Callable[[Names, Names], bool | None] | BaseCallback | Sequence[BaseCallback] | None


@contextmanager
def following(callback: "Callback", model: Any, total_timesteps: int, replica: Replica) -> Iterator[Callable[[], bool]]:
    """Yields what is to be called after every step of all environments; it says whether to go on.

    Args:
        callback: a function of `{"self": model, "total_timesteps": ...}` and `{}` that stops the training by returning
            False, numpy's too; or their `BaseCallback`, or several.
        model: that learns.
        total_timesteps: of this call.
        replica: of the training.
    """
    names = {"self": model, "total_timesteps": total_timesteps}
    if callback is None:
        yield lambda: True
    elif callable(callback):
        yield lambda: _goes_on(callback(names, {}))
    else:
        from stable_baselines3.common.callbacks import BaseCallback, CallbackList

        several = list(callback) if isinstance(callback, Sequence) else [callback]
        others = [type(one).__name__ for one in several if not isinstance(one, BaseCallback)]
        if others:
            raise TypeError(
                f"callback must be a function, a BaseCallback or a list of BaseCallbacks, got a {others[0]}"
            )
        theirs = CallbackList(several)
        theirs.init_callback(model)
        theirs.on_training_start(names, {})

        def on_step() -> bool:
            theirs.update_locals({"dones": replica.ended.flatten()})  # which `StopTrainingOnMaxEpisodes` counts
            return theirs.on_step()

        yield on_step
        theirs.on_training_end()


def _goes_on(answer: object) -> bool:
    """Whether a function that was asked lets training go on: one that returns nothing does."""
    return answer is None or bool(answer)
