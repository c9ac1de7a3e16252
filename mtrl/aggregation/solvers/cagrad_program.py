"""CAGrad's update, a second-order cone program of `T` variables: a primal-dual interior-point method."""

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregation.solvers.cagrad_support import bound_by, pivot, shortfall
from mtrl.aggregation.solvers.interior_point import largest_step
from mtrl.aggregation.solvers.linear_algebra import bilinear, dot, known, multiply
from mtrl.aggregation.solvers.nonnegative_qp import nonnegative_qp

ITERATIONS = 24
"""Ten to fifteen but for a small `c` among gradients of very different norms."""
PATIENCE = 60
"""Iterations on the host, which stops when done: for norms that spread over 1e16."""
FLOOR = 1e-10
"""Last complementarity aimed at; the data are of order one. Lower, and the distance to the cone's boundary
drowns in rounding; the support found by then gives the rest of the digits."""
SUPPORTS = 6
"""Guesses of the support at the end."""
RIDGE = 1e-15
"""Holds back the coefficients that make no difference where gradients are linearly dependent."""


class Iterate(NamedTuple):
    """A point of the path, or a step along it. The cone's pair is `h = (c, v)` and `z = (r, -w)`."""

    v: Tensor
    """`[..., T]`: `d = g_0 + sum_i v_i u_i`."""
    t: Tensor
    """`[..., 1]`: the smallest gain."""
    s: Tensor
    """`[..., T]`: slack of `C v + f >= t b`."""
    w: Tensor
    """`[..., T]`: its multipliers."""
    r: Tensor
    """`[..., 1]`: bound of `|sum_i w_i u_i|`."""


def program(C: Tensor, f: Tensor, b: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """Maximise `min_i <g_i, d>` over `|d - g_0| <= c |g_0|` in unit gradients `u_i`, with `|g_0| = 1`.

        primal   max t               s = C v + f - t b >= 0,    |sum_i v_i u_i| <= c
        dual     min f^T w + c r     w >= 0,  b^T w = 1,        |sum_i w_i u_i| <= r

    Nesterov-Todd steps with Mehrotra's corrector (Vandenberghe 2010, "The CVXOPT linear and quadratic cone
    program solvers"). Vectors of gradient space are held by their coefficients of the unit gradients, so a
    singular `C` does no harm and one `T x T` factor serves each iteration.

    Args:
        C: cosines, `[..., T, T]`.
        f: `<u_i, g_0>`, `[..., T]`.
        b: in proportion to `1 / |g_i|`, `[..., T]`; 0 for a zero gradient, whose `f` must be 1, so that its
            constraint reads `1 >= 0`.
        c: radius of the ball.

    Returns:
        `v`, `[..., T]`, the best of the program's, of those on the supports near it, and of the `harmless_offset`; its
        gap, `[..., 1]`.
    """
    at = _start(C, f, b, b > 0, c)
    for _ in range(PATIENCE if C.device.type == "cpu" else ITERATIONS):
        newton = _Newton(C, f, b, c, at)
        step = newton.predictor()
        reach = newton.reach(step).clamp(max=1.0)  # [..., 1]
        step = newton.corrector(step, ((1 - reach) ** 3 * newton.mu).clamp(min=FLOOR))
        reach = (0.99 * newton.reach(step)).clamp(max=1.0)
        # Rests when done, and where rounding has the last word.
        moving = (newton.mu > 2 * FLOOR) & torch.cat((*step, reach), -1).isfinite().all(-1, keepdim=True)  # [..., 1]
        at = Iterate(*(torch.where(moving, x + reach * dx, x) for x, dx in zip(at, step, strict=True)))
        if known(~moving):
            break
    v, gap = pivot(C, f, b, c, at.w * (c / at.r) > at.s, SUPPORTS, at.w)
    harmless, other = harmless_offset(C, f, b, c)
    return torch.where(other < gap, harmless, v), torch.fmin(other, gap)


def harmless_offset(C: Tensor, f: Tensor, b: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """The update nearest to the mean that harms no task.

    It is the best there is where a convex combination of the gradients vanishes, unless it is farther than `c`. The
    dual's `w` is then that combination, the program's solution is any such update, and its cone has no inside.

    Returns:
        `v`, `[..., T]`, and its gap, `[..., 1]`; infinite if `v` is too long.
    """
    v = nonnegative_qp(C, -f.unsqueeze(-2)).squeeze(-2)  # a single program, [..., 1, T], to [..., T]
    gap = shortfall(C, f, b, v, least_bound(C, f, b, c))
    return v, torch.where(bilinear(v, C, v) <= c * c, gap, torch.inf)


def least_bound(C: Tensor, f: Tensor, b: Tensor, c: float) -> Tensor:
    """The dual's bound by the shortest `sum_i w_i u_i` with `b^T w = 1`, `[..., 1]`."""
    matrix = C + b.unsqueeze(-1) * b.unsqueeze(-2)  # [..., T, T]
    return bound_by(C, f, b, c, nonnegative_qp(matrix, b.unsqueeze(-2)).squeeze(-2))


def _start(C: Tensor, f: Tensor, b: Tensor, live: Tensor, c: float) -> Iterate:
    """Inside both cones; `s = C v + f - t b` need not hold yet."""
    w = torch.where(live, b / dot(b, b), 1.0)  # [..., T]
    radius = bilinear(w, C, w).clamp(min=0).sqrt()  # [..., 1]
    r = 1.5 * radius + 1e-3 * dot(w, w).sqrt()  # gradients that cancel leave no radius
    v = 0.5 * c * w / r
    t = torch.full_like(r, -1 - c)  # no gain is smaller
    return Iterate(v=v, t=t, s=(multiply(C, v) + f - t * b).clamp(min=0.1), w=w, r=r)


class _Newton:
    """The optimality conditions linearised at one iterate, factored once for predictor and corrector.

    The cone's part is `W^-1 dh + W dz = rho`, `W = eta (a, p)` the Nesterov-Todd scaling. Elements of the cone's space
    are pairs (head `[..., 1]`, tail `[..., T]`); `p`, `Cp`, `short_s`, `from_p`, `from_b` are `[..., T]`, `factor` is
    `[..., T, T]`, and what else is kept is a number of each problem, `[..., 1]`.
    """

    def __init__(self, C: Tensor, f: Tensor, b: Tensor, c: float, at: Iterate) -> None:
        self.C, self.b, self.at = C, b, at
        Cv = multiply(C, at.v)
        self.det_h = c * c - dot(at.v, Cv)
        self.det_z = at.r**2 - bilinear(at.w, C, at.w)
        root_h, root_z = self.det_h.sqrt(), self.det_z.sqrt()
        cosine = (c * at.r - dot(at.w, Cv)) / (root_h * root_z)
        gamma = (2 * (1 + cosine)).sqrt()
        self.a = (c / root_h + at.r / root_z) / gamma
        self.p = (at.v / root_h + at.w / root_z) / gamma
        self.Cp = multiply(C, self.p)
        self.eta = (root_h / root_z).sqrt()
        self.lam = self._scale((at.r, -at.w))
        self.det_lam = root_h * root_z
        self.mu = (dot(at.w, at.s) + self._inner(self.lam, self.lam)) / (C.shape[-1] + 1)

        self.short_s = Cv + f - at.t * b - at.s
        self.short_b = 1 - dot(b, at.w)
        self.kappa = self.eta**-2
        self.factor = torch.linalg.cholesky_ex(C + torch.diag_embed(RIDGE + self.kappa * at.s / at.w)).L
        both = torch.cholesky_solve(torch.stack((self.Cp, b), -1), self.factor)  # [..., T, 2]
        self.from_p, self.from_b = 2 * (self.p - both[..., 0]), both[..., 1]
        self.cross = dot(self.Cp, self.from_b)
        self.corner = 1 + dot(self.Cp, self.from_p)
        self.border = self.kappa * dot(b, self.from_b)

    def predictor(self) -> Iterate:
        """The step towards complementarity 0 (Mehrotra's predictor)."""
        return self._direction(-self.at.w * self.at.s, (-self.lam[0], -self.lam[1]))

    def corrector(self, predictor: Iterate, target: Tensor) -> Iterate:
        """The step towards complementarity `target`, `[..., 1]`, with the predictor's second-order term."""
        dh, dz = (
            self._unscale((torch.zeros_like(target), predictor.v)),
            self._scale((predictor.r, -predictor.w)),
        )
        head = self._inner(dh, dz) - target  # [..., 1]
        tail = dh[0] * dz[1] + dz[0] * dh[1]  # [..., T]
        # Divide by lambda in the cone's (Jordan) algebra.
        lam0, lam1 = self.lam
        y0 = (lam0 * head - bilinear(lam1, self.C, tail)) / self.det_lam
        y1 = (tail - y0 * lam1) / lam0
        linear = target - self.at.w * self.at.s - predictor.w * predictor.s
        return self._direction(linear, (-lam0 - y0, -lam1 - y1))

    def reach(self, step: Iterate) -> Tensor:
        """Largest multiple of `step` that stays inside all cones, `[..., 1]`."""
        at, Cdv, Cdw = self.at, multiply(self.C, step.v), multiply(self.C, step.w)
        half_h, half_z = -dot(at.v, Cdv), at.r * step.r - dot(at.w, Cdw)
        cone_h = _first_root(self.det_h, half_h, -dot(step.v, Cdv))
        cone_z = _first_root(self.det_z, half_z, step.r**2 - dot(step.w, Cdw))
        return torch.minimum(largest_step(at.w, step.w, at.s, step.s), torch.minimum(cone_h, cone_z))

    def _direction(self, linear: Tensor, rho: tuple[Tensor, Tensor]) -> Iterate:
        """Solve `w ds + s dw = linear` and `W^-1 dh + W dz = rho` with both programs' linear equations."""
        at = self.at
        head, tail = self._unscale(rho)
        right = linear / at.w - self.short_s + at.s / at.w * tail  # [..., T]
        base = torch.cholesky_solve(right.unsqueeze(-1), self.factor).squeeze(-1)
        # Two unknowns are left: alpha = <p, dv> and dt, both [..., 1].
        q1 = dot(self.Cp, base)
        q2 = self.short_b + dot(self.b, tail) - self.kappa * dot(self.b, base)
        det = self.corner * self.border + 2 * self.kappa * self.cross**2
        alpha = (q1 * self.border + self.cross * q2) / det
        dt = (self.corner * q2 - 2 * self.kappa * self.cross * q1) / det
        dv = base - self.from_p * alpha + self.from_b * dt
        dw = self.kappa * (dv + 2 * alpha * self.p) - tail
        dr = head + 2 * self.kappa * self.a * alpha
        return Iterate(v=dv, t=dt, s=(linear - at.s * dw) / at.w, w=dw, r=dr)

    def _inner(self, x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> Tensor:
        """The inner product of two elements of the cone's space, `[..., 1]`."""
        return x[0] * y[0] + bilinear(x[1], self.C, y[1])

    def _scale(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """`W x` for an element `x = (head, tail)` of the cone's space, `[..., 1]` and `[..., T]`."""
        along = dot(self.Cp, x[1])
        return self.eta * (self.a * x[0] + along), self.eta * (x[1] + self.p * (x[0] + along / (1 + self.a)))

    def _unscale(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """`W^-1 x`, the inverse of `_scale`."""
        along = dot(self.Cp, x[1])
        return (self.a * x[0] - along) / self.eta, (x[1] + self.p * (along / (1 + self.a) - x[0])) / self.eta


def _first_root(constant: Tensor, half: Tensor, square: Tensor) -> Tensor:
    """Smallest positive root of `square t^2 + 2 half t + constant` with `constant > 0`; may be infinite."""
    inside = half**2 - square * constant
    below = inside.clamp(min=0).sqrt() - half
    return torch.where((inside >= 0) & (below > 0), constant / below, torch.inf)
