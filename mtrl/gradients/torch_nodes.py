"""What this package knows of torch's inside: which function a node of an autograd graph is, and what it saved.

Why. `grad_fn` and `next_functions` are public, but not what a node computes. A graph comes from anybody's modules; that
a weight's gradients for `T` tasks cost little more than one (`layer_plan`, `sample_plan`), that a stacked vector of
losses is taken apart again (`losses`) and that misuse is refused instead of answered wrongly (`walk`) has to be read
off it. So a node's class is compared by its name, with the names below alone, and `layer_nodes` and `row_nodes` read
the tensors that it saved (`_saved_*`). What a node computes is not all that becomes of a gradient there if somebody put
a hook on it (`is_hooked`, `changes_gradients`).

What breaks if torch renames one:

- `ADD`, `ADDMM`, `CONVOLUTION`, `EMBEDDING`, `LAYER_NORM`, `MM`, `CAST`, `TRANSPOSE`: a layer is no longer known, and
  its gradients are formed by a backward pass for each task. The result is the same, later. A saved tensor under another
  name is an AttributeError.
- `STACK`: a task's backward pass runs through the other tasks' heads, too, with zeros. The same result, later.
- `LEAF`: no loss reaches a parameter any more, which is refused.
- `CHECKPOINT`, `COMPILED`, `MULTIPLY`, `UNBIND`: misuse that was refused goes on: reentrant checkpoints, modules that
  were compiled before the import, losses that a scaler multiplied, a vector of losses whose heads are found twice.

`tests/gradients/test_torch_nodes.py` builds each of them and tells.
"""

from __future__ import annotations

from typing import Any

import torch
import torch._functorch.config
import torch.compiler.config
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

ADD = "AddBackward0"
ADDMM = "AddmmBackward0"
CAST = "ToCopyBackward0"
CHECKPOINT = "CheckpointFunctionBackward"
COMPILED = "CompiledFunctionBackward"
CONVOLUTION = "ConvolutionBackward0"
EMBEDDING = "EmbeddingBackward0"
LAYER_NORM = "NativeLayerNormBackward0"
LEAF = "AccumulateGrad"
MM = "MmBackward0"
MULTIPLY = "MulBackward0"
STACK = "StackBackward0"
TRANSPOSE = "TBackward0"
UNBIND = "UnbindBackward0"

# A compiled backward pass may overwrite what the forward pass saved ("donated buffers"), but ours runs once per task.
# From this import on compilers are told that it may not; that costs the memory of those buffers, as uncompiled.
torch._functorch.config.donated_buffer = False
# The key of inductor's cache on disk does not say whether buffers are donated: an entry that another program made would
# overwrite them all the same. Nor does it say for which instructions: an entry of AVX-512, found where torch has AVX2
# alone, on a disk that machines share, ends the process.
torch.compiler.config.cache_key_tag += f"+kept_buffers+{torch.backends.cpu.get_cpu_capability()}"


def kind(node: Node | None) -> str:
    """The name of a node's function; not `node.name()`, which a function of a user may have made its own."""
    return type(node).__name__


def leaf_at(node: Any) -> Tensor | None:
    """The parameter whose `.grad` the node adds to; None if it does something else."""
    return node.variable if kind(node) == LEAF else None


def is_plainly_saved(node: Any, name: str) -> bool:
    """False where reading a saved tensor would run a hook, as under checkpointing, which computes the tensor anew."""
    return getattr(getattr(node, f"_raw_saved_{name}"), "unpack_hook", True) is None


def is_hooked(node: Node) -> bool:
    """Whether somebody put a hook on a node, which may change what the node is given or gives."""
    handles = [node.register_hook(_nothing), node.register_prehook(_nothing)]
    # All hooks of a kind are in one dictionary.
    hooks = [handle.hooks_dict_ref() for handle in handles]
    there = any(len(of_kind) > 1 for of_kind in hooks if of_kind is not None)
    for handle in handles:
        handle.remove()
    return there


def changes_gradients(node: Any) -> bool:
    """Whether a hook on a node's output, a tensor, changes gradients: what arrives there is given back otherwise."""
    metadata, output = node._input_metadata[0], GradientEdge(node, 0)
    zeros = torch.zeros((), dtype=metadata.dtype, device=metadata.device).expand(metadata.shape)
    return torch.autograd.grad([output], [output], [zeros], retain_graph=True)[0] is not zeros


def _nothing(*gradients: Any) -> None:
    """A hook that changes nothing."""


def check_node(node: Node) -> None:
    """Whether a node's backward pass may run once for each task.

    Raises:
        ValueError: it is a reentrant checkpoint, or a module that was compiled before this one was imported.
    """
    if kind(node) == COMPILED:
        metadata: Any = getattr(getattr(type(node), "_forward_cls", None), "metadata", None)
        if getattr(metadata, "bw_donated_idxs", None):
            raise ValueError(
                "a module was compiled before mtrl.gradients was imported, so that its backward pass can run but once: "
                "import mtrl.gradients at the top of the program"
            )
    if kind(node) == CHECKPOINT:
        raise ValueError(
            "checkpoint(use_reentrant=True) fills .grad by itself and cannot be differentiated task by task: "
            "use_reentrant=False can"
        )
