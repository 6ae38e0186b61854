"""One patient's windows are drawn from ideal primitives; a law each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import analyse
from features.catalog import CATALOG, INDEX, FeatureReason
from features.extract import extract
from features.layout import shape_of
from features.memory import Memory
from features.primitives import Primitives
from features.signals import MOTION
from tests.features.segment_kit import (
    NUMBERS,
    OK,
    SEGMENT_SHAPE,
    beats,
    look,
    rings,
    segments,
    window,
)


@pytest.mark.parametrize("rate_bpm", [12, 15, 20, 40, 75, 150, 230])
def test_the_heart_rate_is_that_of_the_beats(rate_bpm: int) -> None:
    value, reason, n, coverage = look(rings(segments(beats(rate_bpm))), "ecg_hr_bpm")
    assert reason == OK
    assert value == pytest.approx(rate_bpm, rel=1e-4)
    assert n == beats(rate_bpm).size - 1
    assert coverage > 0.9


def test_the_pulse_rate_is_that_of_the_pulses() -> None:
    value, reason, _, _ = look(rings(segments(beats(80), signal="ppg")), "ppg_pulse_rate_bpm")
    assert (reason, value) == (OK, pytest.approx(80, rel=1e-4))


def test_an_interval_belongs_to_the_window_of_its_end_beat() -> None:
    # segment 50-60 s     | window 60-120 s
    #          59.6 -------- 60.4: of this window
    of = rings(segments(np.arange(0.4, 120, 0.8), until_s=120))
    first, second = look(of, "ecg_hr_bpm"), look(of, "ecg_hr_bpm", window(120))
    assert first[2] + second[2] == np.arange(0.4, 120, 0.8).size - 1
    assert second[2] == 75


def test_a_gap_is_never_bridged() -> None:
    whole = segments(beats(75))
    hole = [whole[0], whole[1], whole[4], whole[5]]
    value, reason, n, _ = look(rings(hole), "ecg_hr_bpm")
    assert reason == OK
    assert value == pytest.approx(75, rel=1e-4)
    assert n == sum(p.times_us.size for p in hole) - 2


@pytest.mark.parametrize("side", ["open_left", "open_right"])
def test_a_closed_border_is_a_gap(side: str) -> None:
    whole = segments(beats(75))
    whole[3] = whole[3]._replace(**{side: False})
    assert look(rings(whole), "ecg_hr_bpm")[2] == beats(75).size - 2


def test_runs_inside_a_segment_are_not_joined() -> None:
    whole = segments(beats(75))
    run = (np.arange(whole[3].times_us.size) > 4).astype(np.int16)
    whole[3] = whole[3]._replace(run=run)
    assert look(rings(whole), "ecg_hr_bpm")[2] == beats(75).size - 2


def test_a_segment_that_failed_is_a_gap_though_it_has_beats() -> None:
    whole = segments(beats(75))
    whole[2] = whole[2]._replace(reason=FeatureReason.NOISE)
    n = look(rings(whole), "ecg_hr_bpm")[2]
    assert n == sum(whole[k].times_us.size for k in (0, 1, 3, 4, 5)) - 2


@pytest.mark.parametrize(
    ("amplitudes", "kept_s"), [((1.0, 2.0), 20.05), ((2.0, 1.0), 19.9), ((1.0, 1.0), 19.9)]
)
def test_a_beat_seen_on_both_sides_of_a_border_counts_once(
    amplitudes: tuple[float, float], kept_s: float
) -> None:
    times = np.array([*np.arange(0.7, 19.5, 0.8), 19.9, 20.05, *np.arange(20.7, 60, 0.8)])
    values = np.ones(times.size)
    twice = np.flatnonzero((times > 19.8) & (times < 20.1))
    values[twice] = amplitudes
    of = rings(segments(times, values))
    expected = times[~np.isin(times, np.setdiff1d(times[twice], [kept_s]))]
    value, reason, n, _ = look(of, "ecg_hr_bpm")
    assert (reason, n) == (OK, expected.size - 1)
    assert value == pytest.approx(60 * (expected.size - 1) / (expected[-1] - expected[0]))


def test_beats_300_ms_apart_at_a_border_are_two() -> None:
    assert look(rings(segments(np.arange(0.05, 60, 0.3))), "ecg_hr_bpm")[2] == 199


@pytest.mark.parametrize("n_beats", [0, 1, 2, 5])
def test_few_beats_in_a_whole_recording_are_too_few(n_beats: int) -> None:
    value, reason, _, _ = look(rings(segments(np.arange(n_beats) * 0.8)), "ecg_hr_bpm")
    assert np.isnan(value)
    assert reason == FeatureReason.TOO_FEW_BEATS


def test_a_patient_without_the_signal_has_no_signal() -> None:
    assert look(Memory(), "ecg_hr_bpm")[1] == FeatureReason.NO_SIGNAL
    assert look(rings(segments(beats(75))), "spo2_mean_pct")[1] == FeatureReason.NO_SIGNAL


def test_a_signal_that_was_there_before_is_a_gap() -> None:
    of = rings(segments(beats(75)))
    assert look(of, "ecg_hr_bpm", window(600))[1] == FeatureReason.GAP


def test_a_signal_that_began_in_the_window_is_too_short() -> None:
    of = rings(segments(beats(75))[-2:])
    assert look(of, "ecg_hr_bpm")[1] == FeatureReason.TOO_SHORT


@pytest.mark.parametrize(
    "why", [FeatureReason.FLAT, FeatureReason.CLIP, FeatureReason.NOISE, FeatureReason.LOW_QUALITY]
)
def test_the_reason_is_what_most_time_was_lost_to(why: FeatureReason) -> None:
    whole = segments(beats(75))
    bad = [p._replace(reason=why) for p in whole[1:5]]
    assert look(rings(whole[:1], bad), "ecg_hr_bpm")[1] == why


def test_a_feature_of_another_window_has_no_value() -> None:
    batch = extract([(rings(segments(beats(75))), window(60))])
    for j, feature in enumerate(CATALOG):
        assert (batch.reason[0, j] == FeatureReason.OTHER_WINDOW) == ("60s" not in feature.windows)


def modulated(until_s: float = 300) -> NDArray[np.float64]:
    """Beats of NN = 800 + 30 sin(2 pi 0.1 t) + 20 sin(2 pi 0.25 t)."""
    times, t = [], 0.1
    while t < until_s:
        times.append(t)
        end = t + 0.8
        for _ in range(40):
            wave = 30 * np.sin(2 * np.pi * 0.1 * end) + 20 * np.sin(2 * np.pi * 0.25 * end)
            end = t + (800 + wave) / 1000
        t = end
    return np.array(times)


def test_variability_of_a_known_rhythm() -> None:
    of = rings(segments(modulated(), until_s=300))
    at = window(300, "300s")
    assert look(of, "ecg_lf_ms2", at)[0] == pytest.approx(450, rel=0.02)
    assert look(of, "ecg_hf_ms2", at)[0] == pytest.approx(200, rel=0.02)
    assert look(of, "ecg_lf_hf", at)[0] == pytest.approx(2.25, rel=0.03)
    assert look(of, "ecg_sdnn_ms", at)[0] == pytest.approx(np.sqrt(650), rel=0.02)
    assert look(of, "ecg_pnn50_pct", at)[0] == 0.0


def test_variability_refuses_too_little_of_the_window() -> None:
    whole = segments(modulated(), until_s=300)
    late = rings(whole[-12:])
    assert look(late, "ecg_rmssd_ms", window(300, "300s"))[1] == FeatureReason.TOO_SHORT
    holed = rings(whole[:11], whole[21:])
    assert look(holed, "ecg_rmssd_ms", window(300, "300s"))[1] == OK
    assert look(holed, "ecg_lf_ms2", window(300, "300s"))[1] == FeatureReason.GAP


def test_variability_refuses_too_many_artefacts() -> None:
    rr = np.full(420, 0.8)
    rr[::7] = 1.6  # every seventh beat missed
    rr[3::7] = 0.3
    of = rings(segments(0.1 + np.cumsum(rr), until_s=300))
    value, reason, n, _ = look(of, "ecg_sdnn_ms", window(300, "300s"))
    assert np.isnan(value)
    assert n > 100
    assert reason == FeatureReason.ARTEFACT_PCT


def breathing(rate_per_min: float, until_s: int = 60) -> list[Primitives]:
    t = np.arange(0, until_s, 0.25)
    return segments(t, np.sin(2 * np.pi * rate_per_min / 60 * t), "resp", until_s)


@pytest.mark.parametrize("rate_per_min", [8, 15, 30])
def test_the_respiration_rate_is_that_of_the_wave(rate_per_min: int) -> None:
    value, reason, n, coverage = look(rings(breathing(rate_per_min)), "resp_rate_per_min")
    assert (reason, coverage) == (OK, 1.0)
    assert rate_per_min - 3 < n <= rate_per_min  # whole breaths in the minute
    assert value == pytest.approx(rate_per_min, rel=0.03)


def test_respiration_needs_half_of_the_window() -> None:
    whole = breathing(15)
    assert look(rings(whole[:3]), "resp_rate_per_min")[1] == OK
    assert look(rings(whole[:2]), "resp_rate_per_min")[1] == FeatureReason.GAP


def test_a_wave_without_breaths_has_no_rate() -> None:
    t = np.arange(0, 60, 0.25)
    of = rings(segments(t, 0.0, "resp"))
    assert look(of, "resp_rate_per_min")[1] == FeatureReason.TOO_FEW_BEATS


@pytest.mark.parametrize(
    ("name", "signal", "value"),
    [
        ("hr_mean_bpm", "hr", 80.0),
        ("pulse_mean_bpm", "pulse", 81.0),
        ("resp_device_per_min", "resp_rate", 16.0),
    ],
)
def test_numbers_of_devices_are_averaged(name: str, signal: str, value: float) -> None:
    t = np.arange(60.0)
    of = rings(segments(t, value + np.where(t % 2, 0.5, -0.5), signal))
    assert look(of, name)[:3] == (pytest.approx(value), OK, 60)


def measured(signal: str, value: float) -> list[Primitives]:
    """A minute of a number that leaves no events."""
    stats = np.full(shape_of(signal).n_stats, value, np.float32)
    return segments(np.empty(0), signal=signal, stats=stats)


@pytest.mark.parametrize(
    ("name", "signal", "value", "n"),
    [("spo2_mean_pct", "spo2", 97.0, 60), ("temp_mean_c", "temp", 36.8, 6)],
)
def test_numbers_of_segments_become_levels(name: str, signal: str, value: float, n: int) -> None:
    of = rings(measured(signal, value))
    assert look(of, name)[:3] == (pytest.approx(value), OK, n)


@pytest.mark.parametrize("name", ["spo2_mean_pct", "hr_mean_bpm", "temp_mean_c"])
def test_ten_seconds_of_samples_are_enough(name: str) -> None:
    signal = CATALOG[INDEX[name]].signal
    events, level = signal == "hr", 97.0 if signal == "spo2" else 37.0
    whole = segments(np.arange(60.0), 40.0, "hr") if events else measured(signal, level)
    assert look(rings(whole[2:3]), name)[1] == OK
    missing = whole[2]._replace(reason=FeatureReason.GAP, coverage=0.0)
    assert look(rings(whole[:0], [missing]), name)[1] == FeatureReason.GAP


def test_less_than_ten_seconds_is_not() -> None:
    most = segments(np.arange(60.0), 80.0, "hr")[2]._replace(coverage=0.9)
    assert look(rings([most]), "hr_mean_bpm")[1] == FeatureReason.GAP


def test_a_value_outside_its_declared_range_is_undefined() -> None:
    of = rings(measured("spo2", 101.0))
    assert look(of, "spo2_mean_pct")[1] == FeatureReason.UNDEFINED


def epochs(enmo_mg: float, n: int, **changes: Any) -> list[Primitives]:
    """A minute of movement, n samples in each 10 s."""
    stats = np.full(SEGMENT_SHAPE.n_stats, np.nan, np.float32)
    stats[NUMBERS.index("enmo_mg")], stats[NUMBERS.index("n")] = enmo_mg, n
    stats[NUMBERS.index("coverage")] = 1.0
    return segments(np.empty(0), signal=MOTION, stats=stats, **changes)


def test_movement_is_the_mean_over_all_samples() -> None:
    more = epochs(100, 300)[:3] + epochs(400, 100)[3:]
    assert look(rings(more), "acc_enmo_mg")[:3] == (pytest.approx(175), OK, 1200)


def test_movement_that_failed_is_told_why() -> None:
    flat = epochs(100, 300, reason=FeatureReason.LOW_QUALITY)
    assert look(rings(flat), "acc_enmo_mg")[1] == FeatureReason.LOW_QUALITY


@pytest.mark.data
def test_heart_rates_of_real_recordings_agree_with_the_bedside_monitor(
    bidmc: list[Any], cut: Callable[..., Any]
) -> None:
    chosen = bidmc[::5]  # every fifth record: seconds, not minutes
    rows, reference = [], []
    for record in chosen:
        made = rings(analyse(cut(record.signals["ecg"], record.fs_hz, "ecg", 1.0)))
        for end_s in range(60, 481, 10):
            rows.append((made, window(end_s)))
            monitor = record.hr[end_s - 60 : end_s]
            reference.append(monitor[monitor > 0].mean())
    error = np.abs(extract(rows).value[:, INDEX["ecg_hr_bpm"]] - np.array(reference))
    assert np.isfinite(error).mean() > 0.99
    assert np.nanmean(error) < 0.6
    assert np.mean(error[np.isfinite(error)] <= 5) >= 0.99
