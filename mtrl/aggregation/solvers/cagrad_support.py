"""CAGrad's update where its support is known: a linear system and one square root."""

from torch import Tensor

from mtrl.aggregation.solvers.linear_algebra import dot, identity, known, library, multiply, solve

CERTAIN = 1e-12
"""A guess with a smaller gap is the solution; the data are of order one."""


def on_support(C: Tensor, f: Tensor, b: Tensor, c: float, support: Tensor) -> Tensor:
    """Solve `C v + f - t b = s`, `|sum_i v_i u_i| = c` with `v = 0` off the support and `s = 0` on it.

    What is left of `v` and `s` is `t p - q`, where both come from one linear system, and the length fixes `t`.

    Args:
        C: cosines, `[..., T, T]`.
        f: `<u_i, g_0>`, `[..., T]`.
        b: `[..., T]`.
        c: radius of the ball.
        support: bool, `[..., T]`.

    Returns:
        `v` on the support and `s` elsewhere, `[..., T]`. If the guess is right no entry is negative.
    """
    xp = library(C)
    system = xp.where(support[..., None, :], C, -identity(f))  # columns of C on the support, [..., T, T]
    both = solve(system, xp.stack((b, f), -1))  # [..., T, 2]
    p, q = both[..., 0], both[..., 1]
    inside = xp.where(support, b, 0.0)
    square = dot(inside, p)  # [..., 1]
    # The part of q that is orthogonal to p in the metric of C on the support.
    ratio = dot(inside, q) / square
    q = q - ratio * p
    left = c * c - dot(xp.where(support, f - ratio * b, 0.0), q)
    return xp.sqrt(xp.where(left > 0, left, 0.0) / square) * p - q


def pivot(C: Tensor, f: Tensor, b: Tensor, c: float, support: Tensor, guesses: int, w: Tensor) -> tuple[Tensor, Tensor]:
    """Guess the support, flip what is negative, and guess again.

    Args:
        C: cosines, `[..., T, T]`.
        f: `<u_i, g_0>`, `[..., T]`.
        b: `[..., T]`.
        c: radius of the ball.
        support: first guess, bool, `[..., T]`.
        guesses: how many at most.
        w: what to go by if they all fail, `[..., T]`, >= 0.

    Returns:
        The `v` with the smallest duality gap, `[..., T]`, and the gap, `[..., 1]`.
    """
    xp = library(C)
    v = _on_sphere(w, C, c)
    gap = duality_gap(C, f, b, c, v)
    v, gap = xp.where(gap < xp.inf, v, 0.0), xp.where(gap < xp.inf, gap, xp.inf)
    for _ in range(guesses):
        if known(gap <= CERTAIN):
            break
        mixed = on_support(C, f, b, c, support)
        guess = _on_sphere(xp.where(support & (mixed > 0), mixed, 0.0), C, c)
        here = duality_gap(C, f, b, c, guess)
        better = here < gap
        v, gap = xp.where(better, guess, v), xp.where(better, here, gap)
        support = support ^ (mixed < 0)
    return v, gap


def _on_sphere(w: Tensor, C: Tensor, c: float) -> Tensor:
    """The multiple of `w` with `|sum_i w_i u_i| = c`."""
    return w * (c / library(C).sqrt(dot(w, multiply(C, w))))


def duality_gap(C: Tensor, f: Tensor, b: Tensor, c: float, v: Tensor) -> Tensor:
    """The duality gap of `v >= 0` with `|sum_i v_i u_i| = c`, `[..., 1]`; but for a factor `v` is the dual's variable.

    By how much a task's gain falls short of the dual's bound of the smallest gain, in units of `|g_0| |g_i|`; the most
    over the tasks.
    """
    return shortfall(C, f, b, v, (dot(f, v) + c * c) / dot(b, v))


def bound_by(C: Tensor, f: Tensor, b: Tensor, c: float, w: Tensor) -> Tensor:
    """The dual's bound of the smallest gain by any `w >= 0`, `[..., 1]`; not finite for zero."""
    return (dot(f, w) + c * library(C).sqrt(abs(dot(w, multiply(C, w))))) / dot(b, w)


def shortfall(C: Tensor, f: Tensor, b: Tensor, v: Tensor, bound: Tensor) -> Tensor:
    """`max_i bound b_i - (f + C v)_i`, `[..., 1]`."""
    return library(C).amax(bound * b - f - multiply(C, v), -1)[..., None]
