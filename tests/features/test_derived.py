"""Laws of what several signals say together."""

from __future__ import annotations

import numpy as np
import pytest

from features.derived import fresh, heart_over_steps, shock_index, unexplained
from features.feature import FeatureReason
from features.state_rows import packed, unpacked

ONE = np.ones(1)
MINUTE_US = 60_000_000


def run(hr: np.ndarray, mg: np.ndarray, *, learn: bool = True) -> np.ndarray:
    """Unexplained heart rate of one patient minute by minute."""
    state, out = fresh(1), []
    for i in range(len(hr)):
        end_us = np.array([(i + 1) * MINUTE_US])
        state, rest, _ = unexplained(state, hr[i : i + 1], mg[i : i + 1], end_us, np.array([learn]))
        out.append(rest[0])
    return np.array(out)


def test_shock_index_is_heart_rate_over_pressure() -> None:
    column = shock_index(np.array([110.0]), ONE, np.array([90.0]), np.array([600.0]))
    assert column.value[0] == pytest.approx(110 / 90)
    assert column.quality[0] == pytest.approx(1 - 600 / 14_400)


@pytest.mark.parametrize(
    ("hr", "sbp", "age_s"),
    [
        (np.nan, 120.0, 0.0),
        (80.0, np.nan, 0.0),
        (80.0, 120.0, np.nan),
        (80.0, 120.0, 14_401.0),
        (80.0, 120.0, -1.0),
        (80.0, 0.0, 0.0),
        (80.0, 1e9, 0.0),
    ],
)
def test_an_old_missing_or_impossible_pressure_gives_no_index(
    hr: float, sbp: float, age_s: float
) -> None:
    column = shock_index(np.array([hr]), ONE, np.array([sbp]), np.array([age_s]))
    assert np.isnan(column.value[0])
    assert column.reason[0] != FeatureReason.OK


def test_heart_rate_over_steps_at_rest_is_the_heart_rate() -> None:
    column = heart_over_steps(
        np.array([70.0, 130.0, 70.0]), np.array([0.0, 129.0, np.nan]), 1.0, np.ones(3)
    )
    assert column.value[:2].tolist() == [70.0, 1.0]
    assert np.isnan(column.value[2])


def test_what_movement_explains_is_taken_away() -> None:
    rng = np.random.default_rng(31)
    mg = np.where(np.arange(1500) % 60 < 15, 300.0, 5.0) * rng.uniform(0.7, 1.3, 1500)
    hr = 62.0 + 12.0 * np.log1p(mg / 20.0) + rng.normal(0, 2, 1500)
    rest = run(hr, mg)[600:]
    assert rest.std() < 0.35 * hr[600:].std()
    assert abs(rest.mean()) < 1.5


def test_a_tachycardia_at_rest_stays_visible_for_an_hour() -> None:
    hr, mg = np.full(1500, 65.0), np.full(1500, 3.0)
    hr[1400:] = 105.0
    rest = run(hr, mg)
    assert np.abs(rest[1000:1400]).max() < 3
    assert rest[1400] > 37
    assert rest[1460] > 25


def test_nothing_is_learnt_when_told_not_to() -> None:
    rest = run(np.full(500, 100.0), np.full(500, 3.0), learn=False)
    np.testing.assert_array_equal(rest[50:], rest[50])


def test_missing_heart_rate_or_movement_has_nothing_unexplained() -> None:
    hr, mg = np.full(5, 70.0), np.full(5, 10.0)
    hr[1], mg[2], hr[3] = np.nan, np.nan, 500.0
    assert np.isnan(run(hr, mg)).tolist() == [False, True, True, True, False]


def test_a_row_alone_gives_the_same_bits_as_among_others_and_after_a_snapshot() -> None:
    rng = np.random.default_rng(37)
    many, one = fresh(30), fresh(1)
    for i in range(60):
        hr, mg = 70 + 10 * rng.normal(size=30), 50 * rng.random(30)
        mg[rng.random(30) < 0.1] = np.nan
        end_us, learn = np.full(30, (i + 1) * MINUTE_US * (1 + i // 30)), rng.random(30) < 0.8
        many, a, _ = unexplained(many, hr, mg, end_us, learn)
        one, b, _ = unexplained(one, hr[9:10], mg[9:10], end_us[9:10], learn[9:10])
        one = unpacked(packed(one), fresh(1))
        np.testing.assert_array_equal(a[9:10], b)


def test_ranges_hold_whatever_comes() -> None:
    rng = np.random.default_rng(41)
    state = fresh(16)
    for i in range(300):
        hr = rng.choice([10.0, 350.0, 70.0, np.nan, -3.0, np.inf], 16)
        mg = rng.choice([0.0, 1e5, 20.0, np.nan, -1.0], 16)
        state, rest, expected = unexplained(
            state, hr, mg, np.full(16, i * MINUTE_US), np.ones(16) > 0
        )
        assert (np.isnan(rest) | (np.abs(rest) <= 340)).all()
        assert (np.isnan(expected) | ((expected >= 10) & (expected <= 350))).all()
        assert np.isfinite(packed(state)).all()
