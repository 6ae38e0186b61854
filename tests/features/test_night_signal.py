"""Laws of NightSignal."""

from __future__ import annotations

import numpy as np
import pytest

from features.night_signal import N_NIGHTS, fresh, night


def levels(nights_bpm: list[float], days: list[int] | None = None) -> list[float]:
    state, out = fresh(1), []
    for i, bpm in enumerate(nights_bpm):
        day = i if days is None else days[i]
        state, level, _ = night(state, np.array([bpm]), np.array([day]))
        out.append(float(level[0]))
    return out


#  night   1  2  3  4  5 | 6  7  8  9
#  above   -  -  -  -  - | 3  3  4  4
#  level   nan ...       | 0  1  1  2
def test_two_nights_running_make_it_yellow_and_two_higher_ones_red() -> None:
    found = levels([60.0] * 5 + [63.0, 63.0, 64.0, 64.0])
    assert np.isnan(found[:5]).all()
    assert found[5:] == [0.0, 1.0, 1.0, 2.0]


def test_one_night_alone_says_nothing() -> None:
    assert levels([60.0] * 5 + [75.0, 60.0, 75.0, 60.0])[5:] == [0.0] * 4


def test_a_missing_night_breaks_the_row() -> None:
    assert levels([60.0] * 5 + [70.0, np.nan, 70.0, 70.0])[7:] == [0.0, 2.0]
    assert levels([60.0] * 5 + [70.0, 70.0], [0, 1, 2, 3, 4, 5, 7])[5:] == [0.0, 0.0]


def test_a_missing_night_has_no_level() -> None:
    assert np.isnan(levels([60.0] * 6 + [np.nan])[6])


def test_a_new_level_becomes_usual_within_a_month() -> None:
    found = levels([60.0] * 30 + [66.0] * 30)
    assert found[31] == 2.0
    assert found[-1] == 0.0


def test_the_median_is_of_the_nights_before() -> None:
    state = fresh(1)
    for day, bpm in enumerate([50.0, 52.0, 54.0, 56.0, 58.0]):
        state, _, usual = night(state, np.array([bpm]), np.array([day]))
        assert np.isnan(usual[0])
    assert night(state, np.array([90.0]), np.array([5]))[2][0] == 54.0


def test_the_ring_is_bounded_and_rows_are_independent() -> None:
    rng = np.random.default_rng(29)
    bpm = 60 + rng.normal(0, 3, (80, 20))
    bpm[rng.random(bpm.shape) < 0.2] = np.nan
    many, one = fresh(20), fresh(1)
    for day, row in enumerate(bpm):
        many, a, _ = night(many, row, np.full(20, day))
        one, b, _ = night(one, row[7:8], np.array([day]))
        np.testing.assert_array_equal(a[7:8], b)
    assert many.nights_bpm.shape == (20, N_NIGHTS)


@pytest.mark.parametrize("bpm", [np.inf, -np.inf])
def test_what_is_no_rate_is_a_missing_night(bpm: float) -> None:
    state = fresh(1)
    after, level, _ = night(state, np.array([bpm]), np.array([0]))
    assert after.n[0] == 0
    assert np.isnan(level[0])
