"""Modules under `torch.compile`: their backward pass has to run once per task.

By default a compiled backward pass may overwrite what the forward pass saved ("donated buffers"). From the import of
this module on, compilers are told that they may not; it costs the memory of those buffers, as without compilation.
"""

from __future__ import annotations

from typing import Any

import torch._functorch.config
import torch.compiler.config
from torch.autograd.graph import Node

torch._functorch.config.donated_buffer = False
# The key of inductor's cache on disk does not say whether buffers are donated: an entry that another program made would
# overwrite them all the same.
torch.compiler.config.cache_key_tag += "+kept_buffers"


def check_compiled(node: Node) -> None:
    """Whether the backward pass of a compiled module may run again.

    Raises:
        ValueError: it was compiled before this module was imported.
    """
    metadata: Any = getattr(getattr(type(node), "_forward_cls", None), "metadata", None)
    if getattr(metadata, "bw_donated_idxs", None):
        raise ValueError(
            "a module was compiled before mtrl.gradients was imported, so that its backward pass can run but once: "
            "import mtrl.gradients at the top of the program"
        )
