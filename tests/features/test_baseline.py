"""Laws of the personal baseline."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from features.baseline import (
    N_TRACKED,
    BaselineState,
    Deviation,
    Moment,
    baseline_columns,
    fresh,
    update,
)
from features.feature import FeatureReason
from features.population import POPULATION, TRACKED, USUAL
from features.state_rows import packed, unpacked

HR = TRACKED.index("ecg_hr_bpm")
RMSSD = TRACKED.index("ecg_rmssd_ms")
DAY_US = 86_400_000_000
START_US = 19_000 * DAY_US


class Run(NamedTuple):
    state: BaselineState
    last: Deviation
    z: np.ndarray  # (steps, B, F)


def at(end_us: int, n_rows: int, *, active: float = 0.0, frozen: bool = False) -> Moment:
    return Moment(
        np.full(n_rows, end_us),
        np.zeros(n_rows),
        np.full(n_rows, active),
        np.full(n_rows, frozen),
    )


def hr_days(
    state: BaselineState,
    hours: np.ndarray,
    hr: np.ndarray,
    *,
    frozen: bool = False,
    ok: bool = True,
) -> Run:
    """Feed `(steps, B)` heart rates at these hours since START_US."""
    z, last = [], None
    for hour, values in zip(hours, hr, strict=True):
        row = np.full((len(values), N_TRACKED), np.nan)
        row[:, HR] = values
        moment = at(START_US + int(hour * 3600) * 1_000_000, len(values), frozen=frozen)
        state, last = update(state, row, moment, np.full(row.shape, ok))
        z.append(last.z)
    assert last is not None
    return Run(state, last, np.array(z))


def people(seed: int, n: int, hours: np.ndarray) -> np.ndarray:
    """`(steps, n)` heart rates of people drawn from the population, scatter correlated over 1 h."""
    rng = np.random.default_rng(seed)
    usual = POPULATION
    coefficient = usual.mean[HR] + rng.normal(size=(n, 6)) * usual.spread[HR]
    scatter = usual.scatter[HR] * np.exp(0.3 * rng.normal(size=n))
    angle = 2 * np.pi * hours / 24
    basis = np.stack(
        [
            np.ones_like(angle),
            0 * angle,
            *(wave(order * angle) for order in (1, 2) for wave in (np.cos, np.sin)),
        ]
    )
    noise, out = rng.normal(size=n), []
    keep = np.exp(-np.diff(hours, prepend=hours[0] - 1) / 0.5)
    for i in range(len(hours)):
        noise = keep[i] * noise + np.sqrt(1 - keep[i] ** 2) * rng.normal(size=n)
        out.append((coefficient * basis[:, i]).sum(axis=1) + scatter * noise)
    return np.array(out)


def test_the_first_value_is_judged_by_the_population() -> None:
    run = hr_days(fresh(3), np.array([12.0]), np.array([[74.0, 110.0, 45.0]]))
    assert np.abs(run.z[0, 0, HR]) < 0.5
    assert 1.5 < run.z[0, 1, HR] < 3.0
    assert -3.0 < run.z[0, 2, HR] < -1.5


def test_an_unusual_person_becomes_usual_within_a_day() -> None:
    hours = np.arange(0.0, 48.0, 0.25)
    run = hr_days(fresh(1), hours, np.full((len(hours), 1), 105.0))
    assert run.z[0, 0, HR] > 1.5
    assert np.abs(run.z[100:, 0, HR]).max() < 1.0
    assert run.last.centre[0, HR] == pytest.approx(105.0, abs=2.0)
    assert run.last.personal[0, HR] > 0.9


def test_healthy_people_rarely_deviate_by_three_on_any_day() -> None:
    hours = np.arange(0.0, 72.0, 0.25)
    run = hr_days(fresh(200), hours, people(1, 200, hours))
    for day in range(3):
        z = run.z[day * 96 : (day + 1) * 96, :, HR]
        assert (np.abs(z) > 3).mean() < 0.02, day
        assert 0.8 < np.nanstd(z) < 1.3, day


def test_a_fever_of_one_day_stands_out_and_is_not_taken_for_usual() -> None:
    hours = np.arange(0.0, 24 * 8, 0.5)
    hr = people(2, 60, hours)
    ill = hours >= 24 * 7
    hr[ill] += 25.0
    run = hr_days(fresh(60), hours, hr)
    assert np.median(run.z[ill, :, HR]) > 2.5
    assert (run.last.cusum_up[:, HR] > 5.0).mean() > 0.95
    assert (run.last.cusum_down[:, HR] == 0.0).mean() > 0.9


def test_the_daily_course_is_learnt() -> None:
    hours = np.arange(0.0, 24 * 6, 0.5)
    hr = (70.0 - 12.0 * np.cos(2 * np.pi * (hours - 3.5) / 24))[:, None]
    run = hr_days(fresh(1), hours, hr)
    assert np.abs(run.z[-48:, 0, HR]).max() < 1.0


def test_activity_has_its_own_level_and_scatter() -> None:
    rng = np.random.default_rng(3)
    state, values = fresh(1), np.full((1, N_TRACKED), np.nan)
    everything = np.ones((1, N_TRACKED), np.bool_)
    for step in range(600):
        active = float(step % 3 == 0)
        values[0, HR] = 60.0 + active * 45.0 + rng.normal() * (2.0 + 8.0 * active)
        moment = at(START_US + step * 1_800_000_000, 1, active=active)
        state, deviation = update(state, values, moment, everything)
        if step > 100:
            assert abs(deviation.centre[0, HR] - (60 + 45 * active)) < 6
    assert state.scatter[0, HR, 1] > 2.5 * state.scatter[0, HR, 0]


def test_single_absurd_values_hardly_move_the_level() -> None:
    hours = np.arange(0.0, 96.0, 0.5)
    clean = people(4, 1, hours)
    dirty = clean.copy()
    dirty[5::13] = 240.0
    a, b = (hr_days(fresh(1), hours, hr).last.centre[0, HR] for hr in (clean, dirty))
    assert b - a < 3.0


def test_nothing_is_learnt_while_an_alert_is_open_or_from_poor_values() -> None:
    hours = np.arange(0.0, 24.0, 0.5)
    before = hr_days(fresh(5), hours, people(5, 5, hours)).state
    later = np.arange(24.0, 72.0, 0.5)
    for frozen, ok in ((True, True), (False, False)):
        after = hr_days(before, later, np.full((96, 5), 130.0), frozen=frozen, ok=ok)
        np.testing.assert_array_equal(after.state.coefficients, before.coefficients)
        np.testing.assert_array_equal(after.state.covariance, before.covariance)
        np.testing.assert_array_equal(after.state.scatter, before.scatter)
        assert (after.z[:, :, HR] > 2).mean() > 0.8
        assert (after.last.cusum_up[:, HR] == 10.0).all()


def test_the_cusum_begins_anew_when_the_alert_is_over_or_after_a_day_without_values() -> None:
    hours = np.arange(0.0, 24.0, 0.5)
    before = hr_days(fresh(1), hours, np.full((48, 1), 70.0)).state
    high = hr_days(before, np.arange(24.0, 48.0, 0.5), np.full((48, 1), 130.0), frozen=True)
    assert high.last.cusum_up[0, HR] > 5
    for hour in (48.0, 80.0):
        calm = hr_days(high.state, np.array([hour]), np.full((1, 1), 70.0), frozen=hour > 50)
        assert calm.last.cusum_up[0, HR] < 1


def test_a_missing_value_changes_nothing_but_the_flag() -> None:
    state = hr_days(fresh(2), np.arange(5.0), np.full((5, 2), 70.0)).state
    run = hr_days(state, np.array([6.0]), np.array([[np.nan, np.inf]]))
    for old, new in zip(state, run.state, strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.isnan(run.last.z).all()


def test_rmssd_is_judged_on_a_logarithmic_scale_and_reported_in_ms() -> None:
    values = np.full((2, N_TRACKED), np.nan)
    centre = np.exp(POPULATION.mean[RMSSD, 0])
    values[:, RMSSD] = centre * 2, centre / 2
    noon = at(START_US + 9 * 3600 * 1_000_000, 2)
    deviation = update(fresh(2), values, noon, np.ones((2, N_TRACKED), np.bool_))[1]
    middle = deviation.centre[0, RMSSD]
    assert 20 < middle < 50
    expected = np.log(values[:, RMSSD] / middle)
    assert deviation.z[0, RMSSD] / deviation.z[1, RMSSD] == pytest.approx(expected[0] / expected[1])


def test_the_hour_is_the_patients_own() -> None:
    values = np.full((1, N_TRACKED), 70.0)
    everything = np.ones((1, N_TRACKED), np.bool_)
    night = at(START_US + 3 * 3600 * 1_000_000, 1)
    abroad = at(START_US + 15 * 3600 * 1_000_000, 1)._replace(utc_offset_s=np.array([43_200.0]))
    a, b = (update(fresh(1), values, moment, everything)[1].z for moment in (night, abroad))
    np.testing.assert_array_equal(a, b)


def test_how_often_it_is_asked_does_not_change_what_it_believes() -> None:
    ends = []
    for step_h in (1 / 6, 0.5):
        hours = np.arange(0.0, 72.0, step_h)
        hr = (68.0 - 5 * np.cos(2 * np.pi * (hours - 3.5) / 24))[:, None]
        run = hr_days(fresh(1), hours, hr)
        ends.append((run.last.centre[0, HR], run.state.covariance[0, HR, 0] ** 0.5))
    assert ends[0][0] == pytest.approx(ends[1][0], abs=0.5)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=0.15)


def test_a_row_alone_gives_the_same_bits_as_among_others_and_after_a_snapshot() -> None:
    rng = np.random.default_rng(6)
    state, alone = fresh(64), fresh(1)
    for step in range(30):
        values = np.tile(POPULATION.mean[:, 0], (64, 1)) * (
            1 + 0.1 * rng.normal(size=(64, N_TRACKED))
        )
        values[:, RMSSD] = 30.0
        values[rng.random(values.shape) < 0.2] = np.nan
        moment = at(
            START_US + step * 600_000_000, 64, active=float(step % 2), frozen=step in (7, 8)
        )
        mine = Moment(*(part[20:21] for part in moment))
        ok = rng.random(values.shape) < 0.9
        state, many = update(state, values, moment, ok)
        alone, one = update(alone, values[20:21], mine, ok[20:21])
        alone = unpacked(packed(alone), fresh(1))
        for a, b in zip(one, many, strict=True):
            np.testing.assert_array_equal(a[0], b[20])
    for a, b in zip(alone, state, strict=True):
        np.testing.assert_array_equal(a[0], b[20])


def test_the_state_of_a_patient_is_small() -> None:
    assert packed(fresh(1)).nbytes <= 2200


def test_columns_carry_the_reason_of_their_feature() -> None:
    values = np.full((1, N_TRACKED), np.nan)
    values[0, HR] = 70.0
    reason = np.full((1, N_TRACKED), FeatureReason.NOISE, np.uint8)
    reason[0, HR] = FeatureReason.OK
    deviation = update(fresh(1), values, at(START_US, 1), np.ones((1, N_TRACKED), np.bool_))[1]
    columns = baseline_columns(deviation, values, reason)
    assert len(columns) == 4 * len(USUAL) + 1
    for name, column in columns.items():
        mine = name.startswith("ecg_hr_")
        assert column.reason[0] == (FeatureReason.OK if mine else FeatureReason.NOISE), name
        assert np.isnan(column.value[0]) != mine


def test_ranges_hold_whatever_comes() -> None:
    rng = np.random.default_rng(8)
    state = fresh(32)
    odd = np.array([0.0, -5.0, 1e-9, 1e9, 1e300, np.inf, np.nan, 37.0, 60.0, 97.0, 349.0])
    for step in range(200):
        values = rng.choice(odd, (32, N_TRACKED))
        moment = at(START_US + int(rng.integers(0, 90)) * DAY_US // 7, 32, active=rng.choice(odd))
        state, deviation = update(state, values, moment, rng.random(values.shape) < 0.9)
        assert (np.isnan(deviation.z) | (np.abs(deviation.z) <= 50)).all()
        assert ((deviation.centre >= POPULATION.lo) & (deviation.centre <= POPULATION.hi)).all()
        assert ((deviation.cusum_up >= 0) & (deviation.cusum_up <= 10)).all()
        assert ((deviation.personal >= 0) & (deviation.personal <= 1)).all(), step
        assert np.isfinite(packed(state)).all()
