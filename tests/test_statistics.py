"""Statistics against cases computed by hand, the peer routine and a simulation."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from mtrl import statistics


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_iqm_by_hand() -> None:
    # Sorted: 0 .1 .2 .4 .6 .8 .9 1: two are cut from each end, (.2 + .4 + .6 + .8) / 4 is left.
    scores = [[0.9, 0.0, 0.4, 0.8], [0.2, 1.0, 0.6, 0.1]]
    assert statistics.iqm(scores) == pytest.approx(0.5)


def test_iqm_is_the_trimmed_mean() -> None:
    for runs, tasks in [(1, 1), (1, 3), (3, 3), (5, 10), (7, 2)]:
        scores = generator().random((runs, tasks))
        assert statistics.iqm(scores) == pytest.approx(trim_mean(scores.ravel(), 0.25))


def test_statistics_are_batched() -> None:
    scores = generator().random((4, 5, 3, 6))
    for statistic in (statistics.iqm, statistics.mean):
        loop = [[statistic(scores[i, j]) for j in range(5)] for i in range(4)]
        np.testing.assert_allclose(statistic(scores), loop)


def test_interval_of_equal_runs_is_a_point() -> None:
    # Only within a task are runs exchanged: tasks that differ do not widen the interval.
    interval = statistics.bootstrap_interval([[0.0, 1.0]] * 4, generator=generator())
    assert (interval.low, interval.high) == (0.5, 0.5)


def test_interval_by_hand() -> None:
    # One task, runs 0, 0, 1: a resampled mean is k/3 with k ~ Binomial(3, 1/3): P(0) = 8/27 and
    # P(3) = 1/27 = 0.037 are both above 2.5%, so the 95% interval is all of [0, 1]. At 90% P(3) is below
    # 5%, so it ends at 2/3.
    scores = [[0.0], [0.0], [1.0]]
    wide = statistics.bootstrap_interval(scores, generator=generator())
    narrow = statistics.bootstrap_interval(scores, generator=generator(), level=0.9)
    assert (wide.low, wide.high) == (0, 1)
    assert (narrow.low, narrow.high) == pytest.approx((0, 2 / 3))


def test_tasks_are_resampled_apart() -> None:
    # Two tasks whose runs are exactly opposed: resampling whole runs would give 1/2 always.
    scores = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    interval = statistics.bootstrap_interval(scores, generator=generator())
    assert interval.low < 0.5 < interval.high


def test_interval_covers_the_truth() -> None:
    # Twenty runs of four tasks with known success; the percentile bootstrap covers a little less than 95%.
    rng = generator()
    truth = np.array([0.2, 0.5, 0.7, 0.9])
    covered = 0
    for _ in range(300):
        scores = rng.binomial(50, truth, size=(20, 4)) / 50
        interval = statistics.bootstrap_interval(scores, generator=rng, resamples=400)
        covered += interval.low <= truth.mean() <= interval.high
    assert 0.88 <= covered / 300 <= 0.99


def test_the_generator_decides_the_interval() -> None:
    scores = generator().random((5, 10))
    first = statistics.bootstrap_interval(scores, generator=np.random.default_rng(1))
    assert first == statistics.bootstrap_interval(scores, generator=np.random.default_rng(1))
    assert first != statistics.bootstrap_interval(scores, generator=np.random.default_rng(2))


def test_summary() -> None:
    summary = statistics.summarize([[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]], generator=generator())
    np.testing.assert_allclose(summary.per_task, [0.5, 1.0])
    assert summary.mean == pytest.approx(0.75)
    assert summary.iqm == pytest.approx((0.5 + 3 * 1.0) / 4)  # sorted 0 .5 1 1 1 1, one cut from each end
    assert summary.interval is not None
    assert summary.interval.low <= summary.mean <= summary.interval.high <= 1


def test_two_seeds_have_no_interval() -> None:
    summary = statistics.summarize([[0.0, 1.0], [0.5, 1.0]], generator=generator())
    assert summary.interval is None
    assert summary.iqm is None
    assert summary.mean == pytest.approx(0.625)


@pytest.mark.parametrize(
    ("scores", "arguments", "message"),
    [
        ([[0.0], [1.0]], {}, "at least 3 runs, got 2"),
        ([[[0.0]]] * 3, {}, r"\[runs, tasks\], got 3 axes"),
        ([0.0, 1.0, 1.0], {}, r"got \(3,\)"),
        ([[0.0], [float("nan")], [1.0]], {}, "got NaN"),
        ([[0.0]] * 3, {"level": 95}, "level=95"),
        ([[0.0]] * 3, {"resamples": 0}, "resamples=0"),
    ],
)
def test_bad_input(scores: list, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics.bootstrap_interval(scores, generator=generator(), **arguments)
