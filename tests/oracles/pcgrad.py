"""PCGrad said plainly, on the gradients themselves."""

import numpy as np


def pcgrad_update(J: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """PCGrad, algorithm 1 line by line, on the gradients themselves; `orders[i]` lists the tasks that `i` meets."""
    total = np.zeros(J.shape[1])
    for i in range(len(J)):
        g = J[i].copy()
        for j in orders[i]:
            if j != i and g @ J[j] < 0:
                g -= (g @ J[j]) / (J[j] @ J[j]) * J[j]
        total += g
    return total
