"""Windows of pulses: known answers, refusal below the minimum, declared ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.column import Column
from features.feature import FeatureReason
from features.ppg.motion import N_RATES
from features.ppg.windows import (
    Window,
    WindowIntervals,
    WindowPulses,
    arrival_columns,
    deficit_column,
    shape_columns,
    tracked_rate_column,
    variability_columns,
)
from features.tables.ppg import FEATURES

OK = FeatureReason.OK


def _window(n: int = 1, length_s: int = 60, usable: float = 1.0) -> Window:
    return Window(
        np.full(n, length_s * 1_000_000),
        np.full(n, usable),
        np.full(n, 0.9),
        np.full(n, FeatureReason.GAP, np.uint8),
    )


def _pulses(n: int, row: int = 0) -> WindowPulses:
    return WindowPulses(
        np.full(n, row),
        (np.arange(n) * 0.8e6).astype(np.intp),
        np.linspace(1.0, 2.0, n),
        np.full(n, 0.18),
    )


def test_shape_is_the_median_over_pulses() -> None:
    columns = shape_columns(_window(), _pulses(75), np.array([30.0]))
    assert columns["ppg_pulse_amp_au"].value[0] == pytest.approx(1.5)
    assert columns["ppg_rise_time_ms"].value[0] == pytest.approx(180.0)
    assert columns["ppg_perfusion_pct"].value[0] == pytest.approx(5.0)
    assert all(c.reason[0] == OK and c.n[0] == 75 for c in columns.values())


@pytest.mark.parametrize("level", [0.0, 0.5, np.nan])
def test_a_wave_without_a_steady_part_has_no_perfusion(level: float) -> None:
    columns = shape_columns(_window(), _pulses(75), np.array([level]))
    assert columns["ppg_perfusion_pct"].reason[0] == FeatureReason.UNDEFINED
    assert columns["ppg_pulse_amp_au"].reason[0] == OK


def test_too_few_pulses_or_too_little_wave_is_said() -> None:
    few = shape_columns(_window(2), _pulses(4, row=1), np.full(2, 30.0))
    assert np.all(few["ppg_rise_time_ms"].reason == FeatureReason.TOO_FEW_BEATS)
    lost = shape_columns(_window(usable=0.4), _pulses(30), np.array([30.0]))
    assert lost["ppg_rise_time_ms"].reason[0] == FeatureReason.GAP


def test_arrival_needs_ten_pairs_of_the_same_beats() -> None:
    pulses = _pulses(60)
    r_us = pulses.time_us - 300_000
    columns = arrival_columns(_window(), pulses.row, r_us, pulses)
    assert columns["ppg_pat_ms"].value[0] == 300.0
    assert columns["ppg_pat_iqr_ms"].value[0] == 0.0
    few = arrival_columns(_window(), pulses.row[:9], r_us[:9], pulses)
    assert few["ppg_pat_ms"].reason[0] == FeatureReason.TOO_FEW_BEATS
    none = arrival_columns(_window(), pulses.row[:0], r_us[:0], pulses)
    assert none["ppg_pat_ms"].reason[0] == FeatureReason.TOO_FEW_BEATS
    drift = np.linspace(0, 400_000, 60).astype(np.intp)
    wide = arrival_columns(_window(), pulses.row, r_us - drift, pulses)
    assert wide["ppg_pat_ms"].reason[0] == FeatureReason.LOW_QUALITY


def _rate(value: float, reason: FeatureReason = OK) -> Column:
    one = np.ones(1)
    return Column(np.array([value]), one, one, np.array([50]), np.array([reason], np.uint8))


def test_a_pulse_deficit_is_negative_and_needs_both_rates() -> None:
    assert deficit_column(_rate(70.0), _rate(95.0)).value[0] == -25.0
    missing = deficit_column(_rate(70.0), _rate(np.nan, FeatureReason.FLAT))
    assert missing.reason[0] == FeatureReason.FLAT
    both = deficit_column(_rate(np.nan, FeatureReason.NOISE), _rate(np.nan, FeatureReason.FLAT))
    assert both.reason[0] == FeatureReason.NOISE


def _intervals(ibi_ms: NDArray[np.float64], gap_after: int | None = None) -> WindowIntervals:
    joined = np.ones(ibi_ms.size, np.bool_)
    joined[0] = False
    if gap_after is not None:
        joined[gap_after + 1] = False
    return WindowIntervals(
        np.zeros(ibi_ms.size, np.intp), ibi_ms, np.ones(ibi_ms.size, np.bool_), joined
    )


def test_variability_has_its_known_answers() -> None:
    ibi = np.tile([800.0, 840.0], 150)
    columns = variability_columns(_window(length_s=300), _intervals(ibi))
    assert columns["ppg_rmssd_ms"].value[0] == pytest.approx(40.0)
    assert columns["ppg_sdnn_ms"].value[0] == pytest.approx(np.std(ibi, ddof=1))
    assert columns["ppg_sdnn_ms"].coverage[0] == pytest.approx(0.82)


def test_variability_does_not_join_over_a_gap() -> None:
    ibi = np.concatenate([np.full(150, 700.0), np.full(150, 1000.0)])
    whole = variability_columns(_window(length_s=300), _intervals(ibi))
    broken = variability_columns(_window(length_s=300), _intervals(ibi, gap_after=149))
    assert whole["ppg_rmssd_ms"].value[0] > 0
    assert broken["ppg_rmssd_ms"].value[0] == 0.0


def test_variability_refuses_few_or_spoilt_intervals() -> None:
    few = variability_columns(_window(length_s=300), _intervals(np.full(99, 2000.0)))
    assert few["ppg_rmssd_ms"].reason[0] == FeatureReason.TOO_FEW_BEATS
    spoilt = _intervals(np.full(300, 900.0))
    normal = np.arange(300) % 4 != 0
    columns = variability_columns(_window(length_s=300), spoilt._replace(normal=normal))
    assert columns["ppg_rmssd_ms"].reason[0] == FeatureReason.ARTEFACT_PCT


@pytest.mark.parametrize(("weight", "reason"), [(0.6, OK), (0.2, FeatureReason.NOISE)])
def test_a_tracked_rate_is_given_only_when_sure(weight: float, reason: FeatureReason) -> None:
    bpm, of = np.full((1, 6, N_RATES), np.nan), np.zeros((1, 6, N_RATES))
    bpm[0, :, 0], of[0, :, 0] = 88.0, weight
    column = tracked_rate_column(_window(), bpm, of)
    assert column.value[0] == 88.0
    assert column.quality[0] == pytest.approx(weight)
    assert column.reason[0] == reason


def test_every_column_is_in_the_table_and_in_its_range() -> None:
    by_name = {feature.name: feature for feature in FEATURES}
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(100):
        n = int(rng.integers(1, 200))
        times = np.sort(rng.integers(0, 60_000_000, n))
        pulses = WindowPulses(
            np.zeros(n, np.intp), times, rng.lognormal(0, 2, n), rng.uniform(0, 1, n)
        )
        ibi = _intervals(rng.uniform(200, 6000, 400))
        bpm = rng.uniform(30, 240, (1, 6, N_RATES))
        columns = {
            **shape_columns(_window(), pulses, rng.normal(0, 10, 1)),
            **arrival_columns(
                _window(), pulses.row, np.maximum.accumulate(times - 200_000), pulses
            ),
            **variability_columns(_window(length_s=300), ibi),
            "ppg_track_rate_bpm": tracked_rate_column(_window(), bpm, rng.random(bpm.shape)),
            "ppg_pr_minus_hr_bpm": deficit_column(
                _rate(rng.uniform(10, 300)), _rate(rng.uniform(10, 300))
            ),
        }
        for name, column in columns.items():
            seen.add(name)
            given = column.value[column.reason == OK]
            assert np.all((given >= by_name[name].lo) & (given <= by_name[name].hi)), name
            assert np.all((column.quality >= 0) & (column.quality <= 1))
    assert seen | {"ppg_pulse_rate_bpm"} == set(by_name)  # the rate: `features.hrv_windows.rate`


def test_a_window_does_not_depend_on_its_neighbours(steady: Callable[..., Any]) -> None:
    many = [_pulses(40 + i, row=i) for i in range(7)]
    flat = WindowPulses(*(np.concatenate(c) for c in zip(*many, strict=True)))
    together = shape_columns(_window(7), flat, np.full(7, 30.0))
    for i in (0, 3, 6):
        alone = shape_columns(_window(), _pulses(40 + i), np.array([30.0]))
        for name, column in alone.items():
            assert column.value[0] == together[name].value[i]
