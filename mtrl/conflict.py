"""How much tasks conflict, read off the Gram matrix of their gradients alone.

Axes: `T` tasks; leading batch axes are written `...`. No function synchronises; a NaN stays a NaN. What is no Gram
matrix by its shape, such as the gradients themselves, is a ValueError.
"""

import torch
from torch import Tensor

from mtrl.aggregation.method import check_shapes


def norms(gram: Tensor) -> Tensor:
    """Gradient norms `|g_i|`, `[..., T, T]` -> `[..., T]`."""
    check_shapes(gram.shape, gram.dtype, None)
    return gram.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()


def cosines(gram: Tensor) -> Tensor:
    """Cosines between the gradients, `[..., T, T]` -> `[..., T, T]`.

    A zero gradient has no direction: its row and column are 0, the diagonal included.
    """
    lengths = norms(gram)
    lengths = torch.where(lengths == 0, 1.0, lengths)
    # One division after the other: the product of two small norms might underflow.
    return gram / lengths.unsqueeze(-1) / lengths.unsqueeze(-2)


def conflict_rate(gram: Tensor) -> Tensor:
    """Share of task pairs whose gradients have a negative inner product, `[..., T, T]` -> `[...]`, in [0, 1].

    A zero gradient conflicts with nothing; its pairs are counted all the same. One task has no pair: 0.

    Examples:
        >>> gradients = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 1.0]])
        >>> conflict_rate(gradients @ gradients.T)  # one of three pairs
        tensor(0.3333)
    """
    check_shapes(gram.shape, gram.dtype, None)
    T = gram.shape[-1]
    row, column = torch.triu_indices(T, T, offset=1, device=gram.device)
    pairs = gram[..., row, column]
    share = (pairs < 0).to(gram.dtype).sum(-1) / max(pairs.shape[-1], 1)
    return torch.where(pairs.isfinite().all(-1), share, torch.nan)
