"""Aggregation methods said plainly: convex programs handed to cvxpy, algorithms as their papers print them.

Arrays are numpy, float64: `J` holds the task gradients, `[T, P]`; the answers are updates, `[P]`, but for the weights.
"""

import cvxpy as cp
import numpy as np


def nash_update(J: np.ndarray) -> np.ndarray:
    """Nash-MTL: maximise `sum_i log <g_i, d>` over `|d|^2 <= T`."""
    d = cp.Variable(J.shape[1])
    cp.Problem(cp.Maximize(cp.sum(cp.log(J @ d))), [cp.norm(d) <= len(J) ** 0.5]).solve(solver=cp.CLARABEL)
    return d.value


def min_norm_update(J: np.ndarray) -> np.ndarray:
    """MGDA: the shortest vector of the convex hull of the gradients."""
    w = cp.Variable(len(J), nonneg=True)
    cp.Problem(cp.Minimize(cp.sum_squares(J.T @ w)), [cp.sum(w) == 1]).solve(solver=cp.CLARABEL)
    return J.T @ w.value


def cagrad_update(J: np.ndarray, c: float) -> np.ndarray:
    """CAGrad: the largest smallest gain within `c |g_0|` of the mean `g_0`."""
    mean = J.mean(0)
    d, gain = cp.Variable(J.shape[1]), cp.Variable()
    constraints = [J @ d >= gain, cp.norm(d - mean) <= c * np.linalg.norm(mean)]
    cp.Problem(cp.Maximize(gain), constraints).solve(solver=cp.CLARABEL)
    return d.value


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
