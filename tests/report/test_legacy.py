"""The bias of the old protocol: against closed forms and the simulation that the design rests on."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mtrl.cli.main import main
from mtrl.report.legacy import TRUTHS, best_over_evaluations, bias_table, legacy_contents

MIXED_60, SOLVED_60, MIXED_79, SOLVED_80 = (truth.rates for truth in TRUTHS)


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("rates", "best", "of_mean", "many"),
    [
        (MIXED_60, 0.96, 0.73, 0.66),
        (SOLVED_60, 0.80, 0.67, 0.63),
        (SOLVED_80, 1.00, 0.88, 0.84),
        (MIXED_79, 1.00, 0.87, 0.82),
    ],
)
def test_known_biases(rates: tuple[float, ...], best: float, of_mean: float, many: float) -> None:
    legacy = best_over_evaluations(rates, generator=draw())
    assert legacy.mean_of_best == pytest.approx(best, abs=0.012)
    assert legacy.best_of_mean == pytest.approx(of_mean, abs=0.012)
    assert best_over_evaluations(rates, generator=draw(), episodes=50).mean_of_best == pytest.approx(many, abs=0.012)


@pytest.mark.parametrize(
    ("rates", "scores"), [(SOLVED_80, (1.00, 0.98, 0.93, 0.88)), (SOLVED_60, (0.80, 0.76, 0.72, 0.66))]
)
def test_evaluations_that_are_alike_are_biased_less(rates: tuple[float, ...], scores: tuple[float, ...]) -> None:
    for redraw, score in zip((1.0, 0.1, 0.03, 0.01), scores, strict=True):
        found = best_over_evaluations(rates, generator=draw(), redraw=redraw)
        assert found.mean_of_best == pytest.approx(score, abs=0.012)


def test_the_expected_maximum_in_closed_form() -> None:
    """Independent evaluations of one task with rate p: the best of N of n episodes has the distribution F^N."""
    for p, evaluations, episodes in ((0.3, 5, 1), (0.5, 20, 4)):
        below = stats.binom.cdf(np.arange(episodes), episodes, p) ** evaluations
        expected = (1 - below).sum() / episodes
        found = best_over_evaluations(
            [p], generator=draw(), evaluations=evaluations, episodes=episodes, repetitions=2000
        )
        assert found.mean_of_best == pytest.approx(expected, abs=0.012)


def test_one_evaluation_has_no_bias() -> None:
    found = best_over_evaluations(MIXED_79, generator=draw(), evaluations=1, repetitions=2000)
    assert found.mean_of_best == pytest.approx(np.mean(MIXED_79), abs=0.005)
    assert found.best_of_mean == pytest.approx(np.mean(MIXED_79), abs=0.005)


def test_files_are_the_same_always_and_say_what_they_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--explain-legacy", "--out", str(tmp_path)]) == 0
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == legacy_contents(bias_table())
    assert set(written) == {"legacy.md", "legacy.csv", "legacy.png", "legacy.svg"}
    assert written["legacy.png"].startswith(b"\x89PNG")
    rows = list(csv.reader(io.StringIO(written["legacy.csv"].decode())))
    assert rows[0][1:4] == ["true mean", "modern", "best of 150, q=1"]
    solved = next(row for row in rows if row[0] == "6 solved, 4 at 0.5")
    assert solved[1:4] == ["0.80", "0.80", "1.00"]
    printed = capsys.readouterr().out
    assert all(cell in printed for row in rows for cell in row)
