"""torch.compile, and what to do where it cannot."""

import warnings
from collections.abc import Callable
from typing import Any

import torch


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled at its first call; as it is, with one warning, where compiling fails.

    Shapes never change within a run, and it is one graph, so that a break shows here and not as a slow run.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch._inductor")  # its own, of torch 2.13
    chosen = torch.compile(function, dynamic=False, fullgraph=True)

    def call(*arguments: Any) -> Any:
        nonlocal chosen
        try:
            return chosen(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                f"cannot compile the update, so it runs slower ({reason}); is a C++ compiler installed? "
                "training.compile=false silences this",
                RuntimeWarning,
                stacklevel=1,  # the same place for every function, so that it is shown once
            )
            chosen = function
            return function(*arguments)

    return call
