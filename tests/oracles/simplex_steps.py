"""Methods that move weights on the simplex by projected steps, said plainly on the gradients themselves."""

import numpy as np


def simplex_projection(v: np.ndarray) -> np.ndarray:
    """`max(v - t, 0)` with the `t` at which it sums to one, by bisection."""
    low, high = v.min() - 1, v.max()
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if np.maximum(v - t, 0).sum() > 1 else (low, t)
    return np.maximum(v - low, 0)


def sdm_grad_weights(
    first: np.ndarray, second: np.ndarray, w: np.ndarray, pull: np.ndarray, lr: float, momentum: float, num_steps: int
) -> np.ndarray:
    """SDMGrad's inner loop: gradients `[T, P]` of two batches, weights before and after, `[T]`; `pull` is `lam p`."""
    diagonal = np.array([a @ b for a, b in zip(first, second, strict=True)])
    size = np.sqrt(np.maximum(diagonal, 0)).mean()
    velocity = np.zeros(len(w))
    for _ in range(num_steps):
        direction = (w + pull) @ second
        velocity = momentum * velocity + first @ direction / size**2
        w = simplex_projection(w - lr * velocity)
    return w


def moco_updates(
    batches: list[np.ndarray], beta: float, beta_decay: float, gamma: float, gamma_decay: float, rho: float
) -> list[np.ndarray]:
    """MoCo on one `[T, P]` of gradients after the other: the updates."""
    y, w = batches[0], np.full(len(batches[0]), 1 / len(batches[0]))
    updates = []
    for k, h in enumerate(batches, start=1):
        y = y - min(1, beta / k**beta_decay) * (y - h)
        size = np.mean([g @ g for g in y])
        w = simplex_projection(w - gamma / k**gamma_decay * (y @ (w @ y) / size + rho * w))
        updates.append(w @ y)
    return updates
