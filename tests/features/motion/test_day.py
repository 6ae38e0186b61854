"""Laws of hours and nights of movement."""

from __future__ import annotations

import numpy as np
import pytest

from features.feature import FeatureReason
from features.motion.day import motion_row, night_columns, nonwear_column
from features.motion.epochs import epoch
from features.motion.windows import numbers_of

RNG = np.random.default_rng(17)


def hour(axes: np.ndarray) -> np.ndarray:
    """`(1, 12, 14)` rows of `(3, 360, n)` epochs."""
    numbers = numbers_of(epoch(*axes, 32.0))
    return np.stack([motion_row(numbers[None, i * 30 : (i + 1) * 30]) for i in range(12)], axis=1)


def table(noise_g: float) -> np.ndarray:
    axes = RNG.normal(0.0, noise_g, (3, 360, 320))
    axes[1] += 1.0
    return axes


def test_a_device_on_a_table_is_off_the_body_and_one_that_breathes_is_not() -> None:
    rows = np.concatenate([hour(table(0.003)), hour(table(0.02))])
    assert nonwear_column(rows, np.ones(2)).value.tolist() == [1.0, 0.0]


def test_a_single_turn_of_the_wrist_in_the_hour_means_it_is_worn() -> None:
    axes = table(0.003)
    axes[:2, 180:] = axes[:2, 180:][::-1]
    assert nonwear_column(hour(axes), np.ones(1)).value.tolist() == [0.0]


def test_the_sd_over_the_hour_is_that_of_all_samples() -> None:
    axes = RNG.normal(0.0, 0.2, (3, 30, 320)) + RNG.normal(0.0, 0.5, (3, 30, 1))
    row = motion_row(numbers_of(epoch(*axes, 32.0))[None])
    samples = axes.reshape(3, -1)
    assert row[0, 1:4] == pytest.approx(samples.mean(axis=1))
    assert row[0, 4:7] == pytest.approx(samples.var(axis=1))
    np.testing.assert_array_equal(row[0, 7:10], samples.min(axis=1))
    np.testing.assert_array_equal(row[0, 10:13], samples.max(axis=1))


def test_what_was_not_recorded_cannot_say_that_the_device_was_off() -> None:
    rows = hour(table(0.003))
    rows[0, :2] = np.nan
    column = nonwear_column(rows, np.ones(1))
    assert column.reason[0] == FeatureReason.GAP
    assert np.isnan(column.value[0])
    worn = hour(table(0.1))
    worn[0, :5] = np.nan
    assert nonwear_column(worn, np.ones(1)).value[0] == 0.0


def test_the_night_is_the_median_of_what_was_slept() -> None:
    asleep = np.zeros((1, 288))
    asleep[0, :96] = 1.0
    hr = np.where(asleep == 1.0, 52.0, 80.0)
    rmssd = np.full((1, 288), np.nan)
    rmssd[0, 10:21] = 60.0  # eleven rows: one too few
    columns = night_columns(hr, rmssd, asleep)
    assert columns["ecg_night_hr_bpm"].value[0] == 52.0
    assert columns["ecg_night_hr_bpm"].n[0] == 96
    assert columns["ecg_night_rmssd_ms"].reason[0] == FeatureReason.UNDEFINED


def test_a_day_mostly_unjudged_has_no_night() -> None:
    asleep = np.full((1, 288), np.nan)
    asleep[0, :100] = 1.0
    columns = night_columns(np.full((1, 288), 50.0), np.full((1, 288), 50.0), asleep)
    assert columns["ecg_night_hr_bpm"].reason[0] == FeatureReason.GAP
