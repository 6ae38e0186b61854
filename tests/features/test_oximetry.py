"""Laws of oxygen saturation."""

from __future__ import annotations

import numpy as np
import pytest

from features.feature import FeatureReason
from features.oximetry import (
    LEAD_S,
    ROW_NUMBERS,
    hour_columns,
    level_columns,
    saturation_row,
    seconds_of,
    smoothed,
)

ONE = np.ones(1)
RNG = np.random.default_rng(19)


def falls(depth: float, period_s: int = 180, length_s: int = 40, seconds: int = 3840) -> np.ndarray:
    """Desaturations from 97 % once a period: 10 s down, 20 s low, 10 s up; whole percents."""
    at = np.arange(seconds) % period_s
    share = np.clip(np.minimum(at / 10.0, (length_s - at) / 10.0), 0.0, 1.0)
    return np.round(97.0 - depth * share)[None, :]


def hour(seconds: np.ndarray) -> dict[str, float]:
    rows = [saturation_row(seconds[:, i * 300 : i * 300 + 540]) for i in range(12)]
    columns = hour_columns(np.stack(rows, axis=1), ONE)
    return {name: float(column.value[0]) for name, column in columns.items()}


@pytest.mark.parametrize(
    ("depth", "odi3", "odi4"), [(2, 0, 0), (3, 20, 0), (4, 20, 20), (10, 20, 20)]
)
@pytest.mark.parametrize("length_s", [30, 40, 90])
def test_twenty_falls_an_hour_are_counted_once_each(
    depth: int, odi3: int, odi4: int, length_s: int
) -> None:
    found = hour(falls(depth, length_s=length_s))
    assert found["spo2_odi3_per_h"] == odi3
    assert found["spo2_odi4_per_h"] == odi4


def test_a_fall_that_begins_before_the_row_belongs_to_the_row_before() -> None:
    seconds = np.full((1, 840), 97.0)
    seconds[0, LEAD_S + 290 : LEAD_S + 330] = 90.0
    first, second = saturation_row(seconds[:, :540]), saturation_row(seconds[:, 300:])
    at = ROW_NUMBERS.index("falls_4")
    assert (first[0, at], second[0, at]) == (1.0, 0.0)


def test_falls_do_not_depend_on_where_rows_begin() -> None:
    seconds = falls(5, seconds=3840 + 300)
    for shift in (0, 60, 120, 180, 240):
        found = hour(seconds[:, shift : shift + 3840])
        assert found["spo2_odi4_per_h"] == pytest.approx(20, abs=1)


def test_a_slow_drift_is_no_desaturation() -> None:
    seconds = np.linspace(98.0, 90.0, 3840)[None, :]
    found = hour(seconds)
    assert found["spo2_odi3_per_h"] == 0.0
    assert found["spo2_slope_pct_per_h"] == pytest.approx(-8.0 * 3600 / 3840, rel=0.001)


def test_time_below_and_the_lowest_value_are_those_of_the_smoothed_seconds() -> None:
    seconds = np.full((1, 62), 95.0)
    seconds[0, 20] = 70.0  # one odd second
    seconds[0, 30:42] = 89.0
    seconds[0, 50:55] = 87.0
    columns = level_columns(seconds, 60, ONE)
    assert columns["spo2_min_pct"].value[0] == 87.0
    assert columns["spo2_t90_s"].value[0] == 17.0
    assert columns["spo2_t88_s"].value[0] == 5.0
    assert columns["spo2_mean_pct"].n[0] == 60


def test_the_median_of_three_looks_back_only() -> None:
    x = RNG.integers(80, 100, (4, 50)).astype(float)
    x[1, ::7] = np.nan
    whole = smoothed(x)
    changed = x.copy()
    changed[:, 30:] = 60.0
    np.testing.assert_array_equal(smoothed(changed)[:, :30], whole[:, :30])
    full = np.lib.stride_tricks.sliding_window_view(x[0], 3)
    np.testing.assert_array_equal(whole[0, 2:], np.median(full, axis=1))


def test_a_missing_second_stays_missing() -> None:
    x = np.array([[97.0, np.nan, 95.0, np.nan, np.nan, 90.0]])
    found = smoothed(x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    assert found[0, 2] == 96.0  # of the two known
    assert found[0, 5] == 90.0


def test_the_delta_index_is_the_mean_change_of_12_s_means() -> None:
    blocks = np.tile([96.0, 94.0], 160)
    seconds = np.repeat(blocks, 12)[None, :3840]
    assert hour(seconds)["spo2_delta_index_pct"] == pytest.approx(2.0, abs=0.35)
    assert hour(np.full((1, 3840), 96.0))["spo2_delta_index_pct"] == 0.0


def test_falls_are_counted_per_hour_of_watched_time() -> None:
    seconds = falls(5)
    seconds[:, 2040:] = np.nan  # the probe fell off half way
    rows = [saturation_row(seconds[:, i * 300 : i * 300 + 540]) for i in range(12)]
    column = hour_columns(np.stack(rows, axis=1), ONE)["spo2_odi4_per_h"]
    assert column.coverage[0] == pytest.approx(0.5, abs=0.02)
    if column.reason[0] == FeatureReason.OK:
        assert column.value[0] == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    ("fs_hz", "n", "expected"),
    [
        (1.0, 10, list(range(80, 90))),
        (2.0, 20, [80.5 + 2 * i for i in range(10)]),
        (0.5, 5, [80, 80, 81, 81, 82, 82, 83, 83, 84, 84]),
        (0.1, 1, [80] * 10),
        (0.2, 2, [80] * 5 + [81] * 5),
    ],
)
def test_a_segment_gives_ten_seconds_at_any_rate(
    fs_hz: float, n: int, expected: list[float]
) -> None:
    x = 80.0 + np.arange(n)[None, :]
    np.testing.assert_array_equal(
        seconds_of(np.minimum(x, 100.0), fs_hz)[0], np.minimum(expected, 100)
    )


def test_what_no_oximeter_measures_is_missing() -> None:
    x = np.array([[0.0, 20.0, 49.9, 50.0, 100.0, 100.1, 127.0, -1.0, np.nan, 97.0]])
    known = ~np.isnan(seconds_of(x, 1.0)[0])
    assert known.tolist() == [False, False, False, True, True, False, False, False, False, True]


def test_a_row_alone_gives_the_same_bits_as_among_others() -> None:
    x = np.repeat(falls(5)[:, :540], 64, axis=0) + RNG.integers(-2, 2, (64, 540))
    x[3, 100:300] = np.nan
    whole = saturation_row(x)
    for rows in (slice(0, 1), slice(3, 10), slice(60, 61)):
        np.testing.assert_array_equal(saturation_row(x[rows]), whole[rows])


def test_no_samples_give_no_saturation() -> None:
    row = saturation_row(np.full((1, 540), np.nan))
    columns = hour_columns(np.repeat(row[:, None], 12, axis=1), ONE)
    columns |= level_columns(np.full((1, 62), np.nan), 60, ONE)
    for name, column in columns.items():
        assert column.reason[0] == FeatureReason.GAP, name
        assert np.isnan(column.value[0])
    for fs_hz in (0.0, np.nan, -1.0):
        assert np.isnan(seconds_of(np.full((2, 10), 97.0), fs_hz)).all()
    assert np.isnan(seconds_of(np.empty((2, 0)), 1.0)).all()
