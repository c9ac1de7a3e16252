"""Statistics against cases computed by hand, the peer routine and a simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, permutation_test, trim_mean

from mtrl import statistics
from mtrl.statistics import bootstrap


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
    for statistic in (statistics.iqm, statistics.mean, statistics.median):
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


@pytest.mark.parametrize("statistic", [statistics.mean, statistics.iqm])
def test_interval_covers_the_truth(statistic: Callable) -> None:
    # Ten runs of ten tasks; tasks and runs differ. What is to be covered is the statistic of very many runs.
    rng = generator()
    centres = np.linspace(0.1, 0.9, 10)

    def draw(runs: int) -> np.ndarray:
        return np.clip(centres + 0.1 * rng.standard_normal((runs, 10)), 0, 1)

    truth = statistic(draw(20_000))
    covered = 0
    for _ in range(400):
        interval = statistics.bootstrap_interval(draw(10), statistic, generator=rng, resamples=400)
        covered += interval.low <= truth <= interval.high
    assert 0.91 <= covered / 400 <= 0.98  # 95% within three standard errors of it


def test_what_covers_the_truth_where_a_good_seed_is_good_at_all_tasks() -> None:
    """The stratified interval takes tasks for independent and is too narrow then; the one of whole runs is not."""
    rng = generator()
    covered = {False: 0, True: 0}
    for _ in range(300):
        scores = 0.5 + 0.1 * rng.standard_normal((20, 1)) + 0.02 * rng.standard_normal((20, 10))
        for whole_runs in covered:
            interval = statistics.bootstrap_interval(scores, generator=rng, resamples=400, whole_runs=whole_runs)
            covered[whole_runs] += interval.low <= 0.5 <= interval.high
    assert 0.89 <= covered[True] / 300 <= 0.98
    assert covered[False] / 300 < 0.6


def test_what_decides_between_equals_where_a_good_seed_is_good_at_all_tasks() -> None:
    """The stratified interval of the probability of improvement leaves out one half too often."""
    rng = generator()
    covered = {False: 0, True: 0}
    for _ in range(200):
        one, other = 0.1 * rng.standard_normal((2, 20, 1)) + 0.02 * rng.standard_normal((2, 20, 10))
        for whole in covered:
            interval = statistics.improvement_interval(one, other, generator=rng, resamples=300, whole_runs=whole)
            covered[whole] += interval.low <= 0.5 <= interval.high
    assert 0.88 <= covered[True] / 200 <= 0.99
    assert covered[False] / 200 < 0.7


@pytest.mark.parametrize("points_at_once", [1, 2, 3])
def test_a_band_is_the_interval_of_each_point(points_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_ELEMENTS_AT_ONCE", points_at_once * 1000 * 5 * 2)
    scores = generator().random((3, 5, 2))
    band = statistics.bootstrap_band(scores, generator=generator())
    for point in range(3):
        own = statistics.bootstrap_interval(scores[point], generator=generator(), resamples=1000)
        assert (band.low[point], band.high[point]) == pytest.approx((own.low, own.high))


def test_probability_of_improvement_by_hand() -> None:
    # First task: 3 > 1, 3 > 2, 2 > 1, 2 = 2: 3.5 of 4; second: 0 < 1 four times.
    found = statistics.probability_of_improvement([[3, 0], [2, 0]], [[1, 1], [2, 1]])
    assert found == pytest.approx((3.5 / 4 + 0) / 2)


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    one, other = generator().integers(5, size=(7, 3)), generator().integers(5, size=(4, 3)) + 1
    peer = [mannwhitneyu(one[:, t], other[:, t]).statistic / (7 * 4) for t in range(3)]
    assert statistics.probability_of_improvement(one, other) == pytest.approx(np.mean(peer))
    both = statistics.probability_of_improvement(one, other) + statistics.probability_of_improvement(other, one)
    assert both == pytest.approx(1)
    interval = statistics.improvement_interval(one, other, generator=generator())
    narrow = statistics.improvement_interval(one, other, generator=generator(), level=0.5)
    assert interval.low < narrow.low < np.mean(peer) < narrow.high < interval.high
    for few in ((one[:2], other), (one, other[:2])):
        with pytest.raises(ValueError, match="at least 3 runs, got 2"):
            statistics.improvement_interval(*few, generator=generator())


def test_pairs_by_hand_and_as_scipy_has_it() -> None:
    one, other = generator().random((6, 4)) + 0.2, generator().random((6, 4))[::-1]
    found = statistics.compare_pairs(one, other, generator=generator())
    differences = (one - other).mean(axis=1)
    assert (found.runs, found.wins + found.losses) == (6, 6)
    assert found.difference == pytest.approx(differences.mean())
    peer = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.p_value == pytest.approx(peer.pvalue)
    # All of five seeds better: two of the 32 patterns are as far out.
    sure = statistics.compare_pairs(np.ones((5, 2)), np.zeros((5, 2)), generator=generator())
    assert (sure.wins, sure.p_value) == (5, 2 / 32)
    alike = statistics.compare_pairs(one, one, generator=generator())
    assert (alike.difference, alike.wins, alike.losses, alike.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("seeds", [3, 10, 20])
def test_what_ties_exactly_is_no_win_by_rounding(seeds: int) -> None:
    """Both have 1.8 over three tasks, which no two sums of floats agree on."""
    one, other = [[0.9, 0.7, 0.2]] * seeds, [[0.8, 0.8, 0.2]] * seeds
    found = statistics.compare_pairs(one, other, generator=generator())
    assert (found.difference, found.wins, found.losses, found.p_value) == (0, 0, 0, 1)
    large = statistics.compare_pairs(1e6 * np.array(one), 1e6 * np.array(other), generator=generator())
    assert (large.wins, large.losses, large.p_value) == (0, 0, 1)
    # A tie among the pairs, or wins that the losses make up for, are so but for rounding, too.
    mixed = statistics.compare_pairs([[0.1], [0.2], [0.0]], [[0.0], [0.0], [0.3]], generator=generator())
    assert (mixed.difference, mixed.wins, mixed.losses, mixed.p_value) == (0, 2, 1, 1)
    small = statistics.compare_pairs([[1e-9]] * 3, [[0.0]] * 3, generator=generator())
    assert (small.wins, small.p_value) == (3, 2 / 8)


def test_scores_that_differ_by_rounding_are_a_draw() -> None:
    assert statistics.probability_of_improvement([[0.1 + 0.2]], [[0.3]]) == 0.5
    assert statistics.probability_of_improvement([[0.3]], [[0.1 + 0.2]]) == 0.5
    np.testing.assert_array_equal(statistics.mean_rank([[0.1 + 0.2], [0.3], [0.5]], [True]), [2.5, 2.5, 1])


def test_many_pairs_are_sampled() -> None:
    differences = 0.3 + generator().standard_normal((20, 1))
    found = statistics.compare_pairs(differences, np.zeros_like(differences), generator=generator())
    peer = permutation_test((differences[:, 0],), np.mean, permutation_type="samples", rng=generator())
    assert found.p_value == pytest.approx(peer.pvalue, abs=0.02)
    # All of twenty seeds better: what was seen is one of the patterns, however few are drawn.
    sure = statistics.compare_pairs(np.ones((20, 1)), np.zeros((20, 1)), generator=generator())
    assert 0 < sure.p_value < 0.001


def test_profile_by_hand() -> None:
    np.testing.assert_allclose(statistics.performance_profile([[0.0, 0.5], [0.7, 1.0]], [0, 0.5, 1]), [0.75, 0.5, 0])


def test_area_by_hand() -> None:
    # 0.2 until step 10, then up to 0.6 at 30, where it stays until 40: (2 + 8 + 6) / 40.
    steps, values = [10, 20, 30, 40], [0.2, float("nan"), 0.6, 0.6]
    assert statistics.area_under_curve(steps, values, 40) == pytest.approx(0.4)
    assert statistics.area_under_curve(steps, values, 20) == pytest.approx((2 + 3) / 20)
    assert statistics.area_under_curve(steps, values, 40, 20) == pytest.approx((5 + 6) / 20)
    assert np.isnan(statistics.area_under_curve(steps, values, 41))
    assert np.isnan(statistics.area_under_curve(steps, values, 20, 20))
    assert np.isnan(statistics.area_under_curve(steps, [float("nan")] * 4, 40))


def test_steps_to_reach() -> None:
    steps, values = [1, 2, 3, 4], [float("nan"), 0.4, 0.6, 0.5]
    assert [statistics.steps_to_reach(steps, values, level) for level in (0.4, 0.5, 0.7)] == [2, 3, None]
    assert statistics.steps_to_reach([], [], 0.5) is None


def test_a_level_is_reached_but_for_rounding() -> None:
    """Ten shares of twenty episodes, 180 successes in all: their mean is 0.8999999999999998."""
    value = np.mean(np.array([20, 16, 20, 15, 17, 20, 19, 15, 19, 19]) / 20)
    assert value < 0.9
    assert statistics.steps_to_reach([100], [value], 0.9) == 100
    assert statistics.steps_to_reach([100], [0.9 - 1e-9], 0.9) is None


def test_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same tasks, got 2 and 3"):
        statistics.probability_of_improvement(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="same runs and tasks"):
        statistics.compare_pairs(np.zeros((2, 2)), np.zeros((3, 2)), generator=generator())


def test_as_the_authors_code_has_it() -> None:
    """Rliable is what Agarwal et al. published."""
    metrics, library = (pytest.importorskip(f"rliable.{name}") for name in ("metrics", "library"))
    scores, others = generator().random((7, 10)), generator().random((5, 10)) ** 2
    assert statistics.iqm(scores) == pytest.approx(metrics.aggregate_iqm(scores))
    assert statistics.mean(scores) == pytest.approx(metrics.aggregate_mean(scores))
    assert statistics.median(scores) == pytest.approx(metrics.aggregate_median(scores))
    assert statistics.probability_of_improvement(scores, others) == pytest.approx(
        metrics.probability_of_improvement(scores, others)
    )
    thresholds = np.linspace(0, 1, 11)
    np.testing.assert_allclose(
        statistics.performance_profile(scores, thresholds), library.score_distributions(scores, thresholds)
    )
    np.random.seed(0)  # theirs draws from the global generator
    _, theirs = library.get_interval_estimates({"a": scores}, metrics.aggregate_iqm, reps=4000)
    ours = statistics.bootstrap_interval(scores, statistics.iqm, generator=generator())
    assert (ours.low, ours.high) == pytest.approx(theirs["a"].ravel(), abs=0.006)
    _, theirs = library.get_interval_estimates({"a": [scores, others]}, metrics.probability_of_improvement, reps=400)
    ours = statistics.improvement_interval(scores, others, generator=generator())
    assert (ours.low, ours.high) == pytest.approx(theirs["a"].ravel(), abs=0.03)


def test_the_generator_decides_the_interval() -> None:
    scores = generator().random((5, 10))
    first = statistics.bootstrap_interval(scores, generator=np.random.default_rng(1))
    assert first == statistics.bootstrap_interval(scores, generator=np.random.default_rng(1))
    assert first != statistics.bootstrap_interval(scores, generator=np.random.default_rng(2))


def test_summary() -> None:
    """Every run has the same mean, so that whole runs leave no doubt of it."""
    scores = [[0.0, 1.0, 0.5, 1.0], [0.5, 0.5, 0.5, 1.0], [1.0, 0.0, 0.5, 1.0]]
    summary = statistics.summarize(scores, generator=generator())
    np.testing.assert_allclose(summary.per_task, [0.5, 0.5, 0.5, 1.0])
    assert summary.mean.value == pytest.approx(0.625)
    assert summary.median.value == pytest.approx(0.5)
    assert summary.iqm.value == pytest.approx((4 * 0.5 + 2 * 1.0) / 6)  # sorted 0 0 .5 .5 .5 .5 .5 1 1 1 1 1
    assert summary.mean.interval == statistics.Interval(0.625, 0.625)
    assert summary.mean.stratified is not None
    assert summary.mean.stratified.low < 0.6 < 0.65 < summary.mean.stratified.high
    for estimate in (summary.mean, summary.median, summary.iqm):
        for interval in (estimate.interval, estimate.stratified):
            assert interval is not None
            assert interval.low <= estimate.value <= interval.high <= 1


def test_two_seeds_have_no_interval() -> None:
    summary = statistics.summarize([[0.0, 1.0], [0.5, 1.0]], generator=generator())
    assert summary.iqm.interval is None
    assert summary.mean.stratified is None
    assert summary.mean.value == pytest.approx(0.625)


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


# Navon et al. 2022, table 2 (NYUv2): mIoU, pixel accuracy, two depth errors, two angles, three shares of angles.
NYUV2_HIGHER = [True, True, False, False, False, False, True, True, True]
NYUV2_TASKS = ["segmentation"] * 2 + ["depth"] * 2 + ["normal"] * 5
NYUV2_SINGLE = [38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15]
NYUV2 = {  # name: metrics, published delta_m and mean rank
    "ls": ([39.29, 65.33, 0.5493, 0.2263, 28.15, 23.96, 22.09, 47.50, 61.08], 5.59, 8.11),
    "si": ([38.45, 64.27, 0.5354, 0.2201, 27.60, 23.37, 22.53, 48.57, 62.32], 4.39, 7.11),
    "rlw": ([37.17, 63.77, 0.5759, 0.2410, 28.27, 24.18, 22.26, 47.05, 60.62], 7.78, 10.11),
    "dwa": ([39.11, 65.31, 0.5510, 0.2285, 27.61, 23.18, 24.17, 50.18, 62.39], 3.57, 6.88),
    "uw": ([36.87, 63.17, 0.5446, 0.2260, 27.04, 22.61, 23.54, 49.05, 63.65], 4.05, 6.44),
    "mgda": ([30.47, 59.90, 0.6070, 0.2555, 24.88, 19.45, 29.18, 56.88, 69.36], 1.38, 5.44),
    "pcgrad": ([38.06, 64.64, 0.5550, 0.2325, 27.41, 22.80, 23.86, 49.83, 63.14], 3.97, 6.88),
    "graddrop": ([39.39, 65.12, 0.5455, 0.2279, 27.48, 22.96, 23.38, 49.44, 62.87], 3.58, 6.44),
    "cagrad": ([39.79, 65.49, 0.5486, 0.2250, 26.31, 21.58, 25.61, 52.36, 65.58], 0.20, 3.77),
    "imtl_g": ([39.35, 65.60, 0.5426, 0.2256, 26.02, 21.19, 26.20, 53.13, 66.24], -0.76, 3.11),
    "nash_mtl": ([40.13, 65.93, 0.5261, 0.2171, 25.26, 20.08, 28.40, 55.47, 68.15], -4.04, 1.55),
}


def test_delta_m_and_mean_rank_are_those_of_the_paper() -> None:
    values = [row for row, _, _ in NYUV2.values()]
    found = dict(zip(NYUV2, statistics.delta_m(values, NYUV2_SINGLE, NYUV2_HIGHER), strict=True))
    ranks = dict(zip(NYUV2, statistics.mean_rank(values, NYUV2_HIGHER), strict=True))
    for name, (_, delta_m, rank) in NYUV2.items():
        assert found[name] == pytest.approx(delta_m, abs=0.2 if name == "imtl_g" else 0.02), name
        assert ranks[name] == pytest.approx(rank, abs=0.13), name  # one rank in one metric: the table is rounded


def test_delta_p_is_over_tasks_and_of_the_other_sign() -> None:
    """What LibMTL's definition makes of two rows of the paper."""
    rows = [NYUV2["nash_mtl"][0], NYUV2["ls"][0]]
    found = statistics.delta_p(rows, NYUV2_SINGLE, NYUV2_HIGHER, NYUV2_TASKS)
    np.testing.assert_allclose(found, [7.65, 0.88], atol=0.02)
    one_metric_each = statistics.delta_p(rows, NYUV2_SINGLE, NYUV2_HIGHER, [str(k) for k in range(9)])
    np.testing.assert_allclose(one_metric_each, -statistics.delta_m(rows, NYUV2_SINGLE, NYUV2_HIGHER))


def test_equal_values_share_their_ranks() -> None:
    # First metric: 1.5, 1.5, 3 (higher is better); second: 3, 1, 2.
    np.testing.assert_allclose(statistics.mean_rank([[5, 9], [5, 1], [4, 2]], [True, False]), [2.25, 1.25, 2.5])


def test_a_gain_on_a_negative_baseline_is_a_gain() -> None:
    """As of returns, or of a coefficient of determination below 0: from -100 to -50 is half better."""
    assert statistics.delta_m([-50.0], [-100.0], [True]) == -50
    assert statistics.delta_p([-50.0], [-100.0], [True], ["task"]) == 50
    assert statistics.delta_m([-50.0], [-100.0], [False]) == 50


def test_baselines_that_nothing_can_be_relative_to() -> None:
    with pytest.raises(ValueError, match="differ from zero"):
        statistics.delta_m([1.0], [0.0], [True])
    with pytest.raises(ValueError, match="finite"):
        statistics.delta_m([float("nan")], [1.0], [True])
