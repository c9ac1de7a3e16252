"""torch.compile, and what to do where it cannot."""

import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrl.nested import map_leaves

Function = Callable[..., Any]


class Compiler:
    """Compiles functions, each at its first call; once one cannot be, all run as they are, and one warning says so.

    Shapes never change within a run, and each is one graph, so that a break shows here and not as a slow run. What is
    compiled is a copy: torch counts compilations by a function's code, for all its instances, and gives up after eight.

    Args:
        device: of the tensors.
        cuda_graphs: replay each as a CUDA graph. Its outputs are copied, or the next replay would overwrite them.
    """

    def __init__(self, device: torch.device, cuda_graphs: bool = False) -> None:
        warnings.filterwarnings("ignore", category=FutureWarning, module="torch._inductor")  # its own, of torch 2.13
        self._cuda_graphs, self._failed = cuda_graphs, False
        options: dict[str, Any] = {
            "triton.cudagraphs": cuda_graphs,
            # That the compiler knows this processor's instructions shows when it compiles. Otherwise torch tries each
            # set of them out, in a process of its own, in each run: two seconds, and eight the first time.
            "cpp.vec_isa_ok": True,
            # On a CPU, a function becomes one C++ program: the compiler reads torch's headers once, not for each of
            # fifty kernels, and no Python goes from one kernel to the next. Precompiled headers would not pay.
            "cpp_wrapper": device.type == "cpu",
            "cpp_cache_precompile_headers": False,
            "aot_inductor.enable_line_tables": False,  # of such a program, too: no debugger reads it
        }
        known = torch._inductor.config.get_config_copy()  # older versions of torch have not all of them
        self._options = {name: value for name, value in options.items() if name in known}
        if hasattr(torch.compiler, "keep_tensor_guards_unsafe"):  # nor this one
            self._options["guard_filter_fn"] = _may_change

    def __call__(self, function: Function) -> Function:
        """The function, a bound method of tensors, compiled."""
        options = dict(self._options)  # torch takes some out of what it is given
        fast = torch.compile(_copy(function), dynamic=False, fullgraph=True, options=options)
        # Numbers of Python's are constants in the end. Unasked, torch traces a function twice until it sees that.
        constants = torch._dynamo.config.patch(specialize_float=True)

        def call(*arguments: Any) -> Any:
            if not self._failed:
                try:
                    with constants:
                        return _copied(fast(*arguments)) if self._cuda_graphs else fast(*arguments)
                except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
                    self._failed = True
                    warnings.warn(
                        f"cannot compile the update, so it runs slower ({str(error).strip().splitlines()[0]}); "
                        "is a C++ compiler installed? training.compile=false silences this",
                        RuntimeWarning,
                        stacklevel=2,
                    )
            return function(*arguments)

        return call


def _may_change(guards: Sequence[Any]) -> list[bool]:
    """Says of each of torch's guards whether to check it at every call.

    Those are of the arguments, of a method's state and of torch's modes. The rest, a thousand, are of modules, networks
    and layouts, which never change.
    """
    names = [guard.orig_guard.name for guard in guards]
    return [not name or ("L['" in name and ("L['self']" not in name or "L['self'].method" in name)) for name in names]


def _copy(method: Any) -> Function:
    """The same method of the same object, with code of its own."""
    function = method.__func__
    code = function.__code__.replace()
    copy = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    return types.MethodType(copy, method.__self__)


def _copied(tree: Any) -> Any:
    return map_leaves(lambda x: x.clone() if isinstance(x, Tensor) else x, tree)
