"""Performance profiles. Axes: `R` runs, `T` tasks, `K` thresholds."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtrl.statistics.aggregates import checked


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Share of all scores above each threshold (Agarwal et al. 2021, "run-score distribution").

    Args:
        scores: `[..., R, T]`.
        thresholds: `[K]`.

    Returns:
        `[..., K]`.
    """
    scores = checked(scores)
    return np.stack([(scores > threshold).mean(axis=(-2, -1)) for threshold in np.asarray(thresholds)], axis=-1)
