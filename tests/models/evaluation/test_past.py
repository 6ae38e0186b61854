"""What the past adds to a score is the person's own, and never what comes later."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.past import with_past

LENGTHS = np.array([7, 1, 30, 24])


@pytest.fixture
def score() -> np.ndarray:
    return np.random.default_rng(0).normal(-4, 1, int(LENGTHS.sum()))


def test_it_is_the_mean_of_ones_own_last_rows(score: np.ndarray) -> None:
    found = with_past(score, LENGTHS, 0.3, 5)
    start = 0
    for n in LENGTHS.tolist():
        own = score[start : start + n]
        for i in range(n):
            expected = 0.7 * own[i] + 0.3 * own[max(i - 4, 0) : i + 1].mean()
            assert found[start + i] == pytest.approx(expected, abs=1e-9)
        start += n


def test_no_share_and_no_rows_of_before_leave_scores_as_they_are(score: np.ndarray) -> None:
    np.testing.assert_array_equal(with_past(score, LENGTHS, 0.0, 24), score)
    np.testing.assert_allclose(with_past(score, LENGTHS, 0.5, 1), score, atol=1e-9)


def test_a_score_that_is_none_is_in_no_mean_and_stays_none() -> None:
    found = with_past(np.array([1.0, np.nan, 3.0, np.nan]), np.array([3, 1]), 0.5, 3)
    np.testing.assert_array_equal(found, [1.0, np.nan, 2.5, np.nan])


def test_what_comes_later_and_who_comes_next_change_nothing(score: np.ndarray) -> None:
    other = score.copy()
    other[5:] += 3.0
    before, after = (with_past(x, LENGTHS, 0.5, 24) for x in (score, other))
    np.testing.assert_array_equal(before[:5], after[:5])
    assert (after[5:] > before[5:]).all()
    whole = with_past(score, LENGTHS, 0.5, 24)
    alone = with_past(score[8:38], LENGTHS[2:3], 0.5, 24)
    np.testing.assert_allclose(whole[8:38], alone, atol=1e-9)
