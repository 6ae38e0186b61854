from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks._hrv_data import annotated_rr_s, day_history
from features.feature import FeatureReason
from features.hrv import rows_of_series, time_values
from features.intervals import NnSeries
from features.long_windows import day_columns, hour_columns
from features.tables.hrv import FEATURES
from features.variability.fractal import LONG_BOXES, dfa
from features.variability.long_term import HISTORY_COLUMNS, HOUR_COLUMNS

Floats = NDArray[np.float64]
FEATURE = {feature.name: feature for feature in FEATURES}
OK = FeatureReason.OK


def sinus(until_s: float, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    n = int(until_s / 0.6)
    slow = np.cumsum(rng.normal(0, 0.001, n))
    t = np.cumsum(0.8 + 0.03 * np.sin(np.arange(n) / 3) + rng.normal(0, 0.01, n) + slow * 0.3)
    return t[t < until_s]


def as_series(rr_ms: Floats) -> NnSeries:
    n = rr_ms.size
    yes = np.ones(n, np.bool_)
    return NnSeries(rr_ms, np.cumsum(rr_ms) / 1000, yes, np.zeros(n, np.uint8), np.arange(n) > 0)


def test_an_hour_of_windows_is_the_hour_itself() -> None:
    beats = sinus(3600)
    found, _ = hour_columns(day_history(beats, 12)[None])
    whole = time_values(rows_of_series(as_series(np.diff(np.round(beats, 6)) * 1000)))
    for name, column in found.items():
        assert column.reason[0] == OK, name
        if name in whole:
            assert column.value[0] == pytest.approx(whole[name][0], rel=1e-2), name
    assert found["ecg_nn_mean_ms"].coverage[0] == pytest.approx(1.0, abs=1e-3)


def test_alpha_2_of_an_hour_is_that_of_all_its_intervals() -> None:
    rr = 800 + np.random.default_rng(2).normal(0, 30, 4600) + 40 * np.sin(np.arange(4600) / 40)
    beats = np.cumsum(rr) / 1000
    found, _ = hour_columns(day_history(beats[beats < 3600], 12)[None])
    whole = dfa(rows_of_series(as_series(rr)), LONG_BOXES)[0]
    assert found["ecg_dfa_a2"].value[0] == pytest.approx(whole, abs=0.03)


def test_an_hours_names_and_a_days_names_are_the_catalogues() -> None:
    hours, vectors = hour_columns(np.full((1, 12, len(HISTORY_COLUMNS)), np.nan))
    days = day_columns(np.full((1, 24, len(HOUR_COLUMNS)), np.nan))
    assert set(hours) == {f.name for f in FEATURES if "3600s" in f.windows}
    assert set(days) == {f.name for f in FEATURES if "86400s" in f.windows}
    assert np.isnan(vectors).all()
    for column in (*hours.values(), *days.values()):
        assert np.isnan(column.value[0])
        assert column.reason[0] == FeatureReason.TOO_SHORT


def test_half_an_hour_is_enough_and_less_is_not() -> None:
    rows = day_history(sinus(3600), 12)[None]
    for kept, reason in ((6, FeatureReason.GAP), (7, OK)):
        part = rows.copy()
        part[:, kept:, HISTORY_COLUMNS.index("covered_ms") :] = 0.0
        assert hour_columns(part)[0]["ecg_sdnn_ms"].reason[0] == reason


def test_a_refused_window_says_why_and_adds_no_interval() -> None:
    beats = sinus(3600)
    spoilt = (beats > 900) & (beats < 3600)
    beats[spoilt] += np.random.default_rng(3).uniform(-0.35, 0.35, spoilt.sum()) * (
        np.arange(spoilt.sum()) % 5 == 0
    )
    rows = day_history(np.sort(beats), 12)
    at = {name: k for k, name in enumerate(HISTORY_COLUMNS)}
    refused = rows[:, at["reason"]] == FeatureReason.ARTEFACT_PCT
    assert refused[4:].any()
    assert (rows[refused, at["n"]] == 0).all()
    assert (rows[refused, at["n_artefacts"]] > 0).all()


def test_hours_do_not_depend_on_the_batch() -> None:
    some = np.stack([day_history(sinus(3600, seed), 12) for seed in range(7)])
    some[3, 4:6] = np.nan
    together, vectors = hour_columns(some)
    days = day_columns(np.repeat(vectors[:, None], 24, axis=1))
    for i in range(7):
        alone, vector = hour_columns(some[i : i + 1])
        assert vector.tobytes() == vectors[i : i + 1].tobytes()
        day = day_columns(np.repeat(vector[:, None], 24, axis=1))
        for found, one in ((together, alone), (days, day)):
            for name, column in found.items():
                assert column.value[i].tobytes() == one[name].value[0].tobytes(), name


def test_premature_beats_are_counted_once_over_windows() -> None:
    rr = np.full(4400, 0.8)
    early = np.arange(40, 4300, 61)
    rr[early], rr[early + 1] = 0.52, 1.08
    beats = np.cumsum(rr)
    rows = day_history(beats[beats < 3600], 12)
    assert rows[:, HISTORY_COLUMNS.index("n_pvc")].sum() == np.sum(beats[early + 16] < 3600)


def test_a_days_course_of_the_rate_is_found_in_clock_time() -> None:
    hours = np.arange(24)
    vectors = np.zeros((1, 24, len(HOUR_COLUMNS)))
    at = {name: k for k, name in enumerate(HOUR_COLUMNS)}
    vectors[0, :, at["clock_h"]] = (hours + 9.5) % 24
    vectors[0, :, at["hr_bpm"]] = 70 + 9 * np.cos(2 * np.pi * (hours + 9.5 - 16) / 24)
    vectors[0, 3:7, at["hr_bpm"]] = np.nan
    vectors[0, :, at["covered_ms"]] = 3.5e6
    found = day_columns(vectors)
    assert found["ecg_circ_mesor_bpm"].value[0] == pytest.approx(70)
    assert found["ecg_circ_amp_bpm"].value[0] == pytest.approx(9)
    assert found["ecg_circ_phase_h"].value[0] == pytest.approx(16)
    vectors[0, :8, at["hr_bpm"]] = np.nan
    assert np.isnan(day_columns(vectors)["ecg_circ_mesor_bpm"].value[0])


def _day(rr_s: Floats) -> tuple[Floats, Floats]:
    """History and beats of the first 24 h of a recording that starts at midnight."""
    beats = np.cumsum(rr_s)
    beats = beats[beats < 86_400]
    return day_history(beats, 288), beats


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb on the newest pandas
@pytest.mark.parametrize("record", ["nsr001", "nsr009"])
def test_a_real_day_adds_up(archive: Callable[[str], Path], record: str) -> None:
    rows, beats = _day(annotated_rr_s(archive("hrv_reference"), record) * 125 / 128)
    _, vectors = hour_columns(rows.reshape(24, 12, -1))
    found = day_columns(vectors[None])
    # Directly: the plain intervals of each window, unlikely ones left out.
    means, spreads, rates = [], [], []
    for i in range(288):
        own = beats[(beats >= i * 300) & (beats < (i + 1) * 300)]
        rr = np.diff(own) * 1000
        rr = rr[np.abs(rr - np.median(rr)) < 0.4 * np.median(rr)] if rr.size > 100 else rr[:0]
        means.append(rr.mean() if rr.size else np.nan)
        spreads.append(rr.std(ddof=1) if rr.size else np.nan)
        rates.append(60000 / means[-1])
    assert found["ecg_sdann_ms"].value[0] == pytest.approx(np.nanstd(means, ddof=1), rel=0.03)
    assert found["ecg_sdnni_ms"].value[0] == pytest.approx(np.nanmean(spreads), rel=0.05)
    by_hour = np.reshape(rates, (24, 12))
    known = np.isfinite(by_hour).any(axis=1)
    hourly = np.nanmedian(by_hour[known], axis=1)
    angle = 2 * np.pi * (np.arange(24)[known] + 0.5) / 24
    design = np.stack([np.ones(angle.size), np.cos(angle), np.sin(angle)], axis=1)
    mesor, a, b = np.linalg.lstsq(design, hourly, rcond=None)[0]
    assert found["ecg_circ_mesor_bpm"].value[0] == pytest.approx(mesor, rel=0.01)
    assert found["ecg_circ_amp_bpm"].value[0] == pytest.approx(np.hypot(a, b), rel=0.05)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_turbulence_of_a_real_day_is_what_the_toolbox_found(
    archive: Callable[[str], Path],
) -> None:
    # Published for the labelled beats: 16 of them, onset -5.87 %, slope 12.6 ms per beat. By
    # timing alone not quite the same ones are found.
    beats = np.cumsum(annotated_rr_s(archive("hrv_reference"), "nsr004") * 125 / 128)
    rows = day_history(beats[beats < 86_400], 288)
    found = day_columns(hour_columns(rows.reshape(24, 12, -1))[1][None])
    assert abs(rows[:, HISTORY_COLUMNS.index("n_pvc")].sum() - 16) <= 2
    assert found["ecg_hrt_to_pct"].value[0] == pytest.approx(-5.87, abs=1.0)
    assert found["ecg_hrt_ts_ms_per_beat"].value[0] == pytest.approx(12.6, abs=1.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 3.0) | st.sampled_from([0.8]), max_size=900), st.integers(0, 12))
def test_whatever_the_beats_hours_and_days_stay_in_range(rr: list[float], gone: int) -> None:
    rows = day_history(np.cumsum(rr * 5), 12)
    rows[:gone] = np.nan
    columns, vectors = hour_columns(rows[None])
    columns |= day_columns(np.repeat(vectors[:, None], 24, axis=1))
    for name, column in columns.items():
        feature = FEATURE[name]
        assert np.isfinite(column.value[0]) == (column.reason[0] == OK), name
        if column.reason[0] == OK:
            assert feature.lo <= column.value[0] <= feature.hi, name
