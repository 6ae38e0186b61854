"""Laws of the movement of a window."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.feature import FeatureReason
from features.motion.epochs import epoch
from features.motion.windows import (
    Number,
    asleep,
    minute_counts,
    motion_columns,
    numbers_of,
    sleep_column,
)
from tests.features.motion.reference import enmo_mg

RNG = np.random.default_rng(13)
ONE = np.ones(1)


def vectors(axes: np.ndarray) -> np.ndarray:
    """`(1, S, 21)` of `(3, S, n)` axes at 32 Hz."""
    return numbers_of(epoch(*axes, 32.0))[None]


def test_enmo_of_a_window_is_the_mean_over_its_samples_also_with_gaps() -> None:
    axes = RNG.normal(0.0, 0.3, (3, 6, 320))
    axes[2] += 1.0
    axes[0, 1, 100:] = axes[2, 4, :] = np.nan
    samples = enmo_mg(*axes.reshape(3, -1))
    column = motion_columns(vectors(axes), ONE)["acc_enmo_mg"]
    assert column.value[0] == pytest.approx(np.nanmean(samples), rel=1e-12)
    assert column.coverage[0] == pytest.approx(np.mean(~np.isnan(samples)))
    assert column.n[0] == np.sum(~np.isnan(samples))


@pytest.mark.parametrize("tilt_deg", [-90.0, -60.5, -30.0, 0.0, 59.0, 61.0, 90.0])
def test_tilt_is_the_angle_of_the_z_axis_and_lying_begins_at_60(tilt_deg: float) -> None:
    angle, turn = np.radians(tilt_deg), 0.7
    direction = np.array(
        [np.cos(angle) * np.cos(turn), np.cos(angle) * np.sin(turn), np.sin(angle)]
    )
    axes = np.broadcast_to(direction[:, None, None], (3, 6, 320))
    columns = motion_columns(vectors(axes), ONE)
    assert columns["acc_tilt_deg"].value[0] == pytest.approx(tilt_deg, abs=1e-9)
    assert columns["acc_lying_pct"].value[0] == (100.0 if abs(tilt_deg) >= 60 else 0.0)
    assert columns["acc_still_pct"].value[0] == 100.0


def test_a_minute_of_walking_has_its_steps_and_cadence() -> None:
    t = np.arange(60 * 32) / 32.0
    wave = 1.0 + 0.25 * np.sin(2 * np.pi * 1.8 * t)
    axes = np.stack([0 * wave, 0 * wave, wave]).reshape(3, 6, 320)
    columns = motion_columns(vectors(axes), ONE)
    assert columns["acc_steps"].value[0] == pytest.approx(108, abs=3)
    assert columns["acc_cadence_per_min"].value[0] == pytest.approx(108, rel=0.005)


def test_without_a_step_there_is_no_cadence_but_a_count_of_none() -> None:
    axes = np.zeros((3, 6, 320))
    axes[2] = 1.0
    columns = motion_columns(vectors(axes), ONE)
    assert columns["acc_steps"].value[0] == 0.0
    assert columns["acc_cadence_per_min"].reason[0] == FeatureReason.UNDEFINED


def test_less_than_half_of_the_window_says_nothing() -> None:
    axes = RNG.normal(0.0, 0.1, (3, 6, 320))
    axes[0, :4] = np.nan
    for name, column in motion_columns(vectors(axes), ONE).items():
        assert np.isnan(column.value[0]), name
        assert column.reason[0] == FeatureReason.GAP


def test_a_window_alone_gives_the_same_bits_as_among_others() -> None:
    axes = RNG.normal(0.0, 0.4, (3, 60, 320))
    axes[1, 7:9] = np.nan
    numbers = numbers_of(epoch(*axes, 32.0)).reshape(10, 6, -1)
    whole = motion_columns(numbers, np.ones(10))
    for i in range(10):
        alone = motion_columns(numbers[i : i + 1], np.ones(1))
        for name, column in alone.items():
            np.testing.assert_array_equal(column.value[0], whole[name].value[i])


def test_five_quiet_minutes_are_sleep_and_one_lively_one_is_not() -> None:
    assert asleep(np.zeros((1, 5))).tolist() == [1.0]
    assert asleep(np.array([[0, 0, 0, 0, 500.0]])).tolist() == [0.0]
    assert asleep(np.array([[300.0, 0, 0, 0, 0]])).tolist() == [1.0]
    assert np.isnan(asleep(np.array([[0, 0, np.nan, 0, 0]]))).all()


def test_steady_activity_is_judged_as_by_all_seven_minutes() -> None:
    limit = 1000.0 / (106 + 54 + 58 + 76 + 230 + 74 + 67) * 100
    assert asleep(np.full((1, 5), limit * 0.999)).tolist() == [1.0]
    assert asleep(np.full((1, 5), limit * 1.001)).tolist() == [0.0]


def test_a_minute_needs_three_epochs_and_counts_as_whole() -> None:
    counts = np.full((1, 12), 10.0)
    counts[0, 1:4] = np.nan
    counts[0, 6:10] = np.nan
    found = minute_counts(counts)
    assert found[0, 0] == 60.0
    assert np.isnan(found[0, 1])


def test_sleep_of_a_window_says_why_it_is_unknown() -> None:
    numbers = np.zeros((3, 30, len(Number)))
    numbers[:, :, Number.COVERAGE] = 1.0
    numbers[1, 12:18, Number.COUNTS] = np.nan
    numbers[2] = np.nan
    column = sleep_column(numbers, np.ones(3))
    assert column.value[0] == 1.0
    assert column.reason.tolist() == [
        FeatureReason.OK,
        FeatureReason.UNDEFINED,
        FeatureReason.GAP,
    ]


@pytest.mark.data
def test_nights_of_real_people_are_told_from_their_days(archive: Callable[[str], Path]) -> None:
    right = total = 0
    for user in ("user_2", "user_4", "user_6"):
        seconds, counts, (onset, out_of_bed) = actigraph(archive("mmash") / user)
        first, n = seconds[0] // 60, (seconds[-1] - seconds[0]) // 60 + 1
        minutes = np.bincount(seconds // 60 - first, weights=counts, minlength=n)
        five = np.lib.stride_tricks.sliding_window_view(minutes, 5)
        at = (np.arange(len(five)) + 4 + first) * 60
        right += int((asleep(five) == ((at >= onset) & (at < out_of_bed))).sum())
        total += len(five)
    assert right / total > 0.85


def actigraph(folder: Path) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Seconds since the first midnight, vector magnitude, and the night's begin and end."""
    with (folder / "Actigraph.csv").open() as file:
        rows = list(csv.DictReader(file))
    seconds = np.array([_clock_s(row["time"]) for row in rows])
    seconds += 86_400 * np.r_[0, np.cumsum(np.diff(seconds) < -40_000)]
    with (folder / "sleep.csv").open() as file:
        night = next(csv.DictReader(file))
    begin, end = (
        _clock_s(night[f"{what} Time"]) + 86_400 * (int(night[f"{what} Date"]) - 1)
        for what in ("Onset", "Out Bed")
    )
    end += 86_400 * (end < begin)
    return seconds, np.array([float(row["Vector Magnitude"]) for row in rows]), (begin, end)


def _clock_s(text: str) -> int:
    parts = [int(part) for part in text.split(":")]
    return sum(part * size for part, size in zip(parts, (3600, 60, 1), strict=False))
