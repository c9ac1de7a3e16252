"""What difference between two methods so many seeds could have shown."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mtrl.statistics import MIN_RUNS_FOR_INTERVAL
from mtrl.statistics.aggregates import equal

LEVEL, POWER = 0.05, 0.8


def detectable_difference(differences: ArrayLike) -> float | None:
    """The true difference that four of five such comparisons would find, if seeds always scatter as these do.

    A comparison is a paired t-test, two-sided at 5%; the noncentral t says what it finds (Cohen 1988, ch. 2).

    Args:
        differences: of the pairs, one a seed, `[R]`.

    Returns:
        In their unit; None for fewer than `MIN_RUNS_FOR_INTERVAL` seeds, or without any scatter.
    """
    from scipy.special import nctdtrinc, stdtrit  # here: reports of one method do not wait for it

    array = np.asarray(differences, dtype=np.float64)
    if len(array) < MIN_RUNS_FOR_INTERVAL or equal(array, array[0]).all():
        return None
    freedom = len(array) - 1
    critical = stdtrit(freedom, 1 - LEVEL / 2)
    noncentrality = nctdtrinc(freedom, 1 - POWER, critical)  # the other tail holds less than 1e-5
    return float(noncentrality * array.std(ddof=1) / math.sqrt(len(array)))


def power_note(seeds: Sequence[int]) -> str:
    """What to write after "Could show: " under comparisons of so many pairs each."""
    text = (
        "the true difference that four of five such comparisons would find (paired t-test, two-sided at "
        f"{LEVEL:.0%}), if seeds always scatter as these do; a smaller one may be there and not be seen."
    )
    least = [f"{2 / 2**n:.2g} with {n} seed{'s' * (n > 1)}" for n in seeds if 2 / 2**n > LEVEL]
    return f"{text} p of sign flips is never below {', '.join(least)}." if least else text
