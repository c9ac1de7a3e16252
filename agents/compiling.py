"""torch.compile, and what to do where it cannot."""

import warnings
from collections.abc import Callable
from typing import Any

import torch

Function = Callable[..., Any]


def compiled(*functions: Function) -> tuple[Function, ...]:
    """The functions, each compiled at its first call; all as they are, with one warning, once compiling fails.

    Shapes never change within a run, and each is one graph, so that a break shows here and not as a slow run.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch._inductor")  # its own, of torch 2.13
    failed = False

    def compile_one(function: Function) -> Function:
        fast = torch.compile(function, dynamic=False, fullgraph=True)

        def call(*arguments: Any) -> Any:
            nonlocal failed
            if not failed:
                try:
                    return fast(*arguments)
                except torch._dynamo.exc.TorchDynamoException as error:
                    failed = True
                    warnings.warn(
                        f"cannot compile the update, so it runs slower ({str(error).strip().splitlines()[0]}); "
                        "is a C++ compiler installed? training.compile=false silences this",
                        RuntimeWarning,
                        stacklevel=2,
                    )
            return function(*arguments)

        return call

    return tuple(compile_one(function) for function in functions)
