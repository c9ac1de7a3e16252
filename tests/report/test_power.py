"""Two methods over the same seeds, and what so many seeds could have shown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from mtrl.report.power import detectable_difference, power_note
from mtrl.report.write import read_report
from tests.report.run_folders import read_csv, result, start, train, write_run, write_tables


@pytest.mark.parametrize(("seeds", "effect"), [(3, 3.26), (5, 1.68), (10, 1.00), (50, 0.404)])
def test_four_of_five_comparisons_find_it(seeds: int, effect: float) -> None:
    """The effects in standard deviations are those of tables of the paired t-test's power."""
    generator = np.random.default_rng(0)
    differences = 0.3 + 2.0 * generator.normal(size=seeds)
    found = detectable_difference(differences)
    assert found is not None
    spread = differences.std(ddof=1)
    assert found / spread == pytest.approx(effect, rel=5e-3)
    comparisons = generator.normal(found, spread, size=(20_000, seeds))
    assert (ttest_1samp(comparisons, 0.0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize("differences", [[0.1, 0.3], [0.0, 0.0, 0.0], [0.3 - 0.2, 0.1, 0.5 - 0.4]])
def test_two_seeds_or_no_scatter_say_nothing(differences: Sequence[float]) -> None:
    assert detectable_difference(differences) is None


def test_so_few_seeds_that_no_difference_is_significant_are_named() -> None:
    """All signs alike is the rarest of `2^n` patterns, and so is its opposite."""
    text = "p of sign flips is never below"
    assert power_note([3, 5, 6]).endswith(f"{text} 0.25 with 3 seeds, 0.062 with 5 seeds.")
    assert power_note([1]).endswith(f"{text} 1 with 1 seed.")
    assert text not in power_note([6])


def test_methods_are_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    """In their scores and in their curves; a seed of one alone, and one whose curve ends too early, are left out."""
    scores = {"a": {0: 0.2, 1: 0.5, 2: 0.6, 7: 1.0}, "b": {0: 0.4, 1: 0.6, 2: 0.9, 8: 0.0}}
    for name, of_seed in scores.items():
        for seed, score in of_seed.items():
            lines = [start(seed), train(1000, 0.0, 0.0), train(3000, score, score)]
            write_run(tmp_path, name, seed, lines=lines, final=result(3000, seed, (score, 1.0), (0.0, 0.0)))
    write_run(tmp_path, "b", 9, lines=[start(9), train(1000, 1.0, 1.0)])  # begun
    write_tables(read_report([tmp_path / "a", tmp_path / "b"], tmp_path, lambda line: None)[1], tmp_path / "report")
    # One task of two differs; the area is that of a triangle over all steps that they share.
    for file, scale in (("pairs", 1 / 2), ("pairs_area", 1 / 2)):
        (row,) = read_csv(tmp_path / "report" / f"{file}.csv")
        assert (row["run"], row["other"], row["seeds"], row["wins"], row["losses"]) == ("a", "b", "3", "0", "3")
        assert float(row["difference"]) == pytest.approx(-0.2 * scale)
        assert float(row["difference_low"]) == pytest.approx(-0.3 * scale)
        assert float(row["detectable"]) == pytest.approx(3.264 * 0.1 * scale, rel=1e-3)
        assert float(row["p_value"]) == 2 / 8
        assert "four of five" in (tmp_path / "report" / f"{file}.md").read_text()
