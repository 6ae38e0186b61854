"""Concordance and Brier scores against their definitions, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.survival import brier_at, concordance, integrated_brier, kaplan_meier


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 9, n).astype(float), rng.random(n) < 0.6, np.round(rng.random(n), 1)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_counts_pairs_as_defined(seed: int) -> None:
    time, event, risk = drawn(40, seed)
    right = pairs = 0.0
    for i in range(40):
        for j in range(40):
            first = event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j]))
            if first:
                pairs += 1
                right += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    assert concordance(time, event, risk) == pytest.approx(right / pairs)


def test_a_perfect_order_is_one_the_reverse_nought_and_no_events_undefined() -> None:
    time, event = np.arange(1.0, 6.0), np.ones(5, bool)
    assert concordance(time, event, -time) == 1.0
    assert concordance(time, event, time) == 0.0
    assert np.isnan(concordance(time, ~event, time))


def test_kaplan_meier_without_censoring_is_the_share_left() -> None:
    time, _, _ = drawn(200, 1)
    at = np.arange(0.0, 10.0)
    left = [(time > t).mean() for t in at]
    assert kaplan_meier(time, np.ones(200, bool), at) == pytest.approx(left)


def test_kaplan_meier_agrees_with_a_worked_example() -> None:
    """Times 1, 2+, 3, 3, 4+, 5: at risk 6, 4, 2 at the events."""
    time = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 5.0])
    event = np.array([True, False, True, True, False, True])
    at = np.array([0.5, 1.0, 3.0, 5.0])
    expected = [1.0, 5 / 6, 5 / 6 * 2 / 4, 0.0]
    assert kaplan_meier(time, event, at) == pytest.approx(expected)
    assert kaplan_meier(time, event, at, before=True)[2] == pytest.approx(5 / 6)


def test_without_censoring_the_score_is_the_plain_brier_score() -> None:
    time, _, prob = drawn(100, 2)
    event = np.ones(100, bool)
    assert brier_at(time, event, prob, 4.0) == pytest.approx((((time <= 4.0) - prob) ** 2).mean())


def test_censoring_does_not_bias_it() -> None:
    rng = np.random.default_rng(0)
    time, seen_until, prob = rng.exponential(5.0, 40_000), rng.exponential(8.0, 40_000), 0.4
    whole = brier_at(time, np.ones(40_000, bool), np.full(40_000, prob), 4.0)
    cut = brier_at(np.minimum(time, seen_until), time <= seen_until, np.full(40_000, prob), 4.0)
    assert cut == pytest.approx(whole, abs=0.005)


def test_the_integral_of_one_time_is_its_score() -> None:
    time, event, prob = drawn(50, 3)
    one = integrated_brier(time, event, prob[:, None], np.array([4.0]))
    assert one == brier_at(time, event, prob, 4.0)
    flat = integrated_brier(time, event, np.tile(prob[:, None], 2), np.array([4.0, 4.5]))
    assert flat == pytest.approx(one)
