"""The edge-case matrix: what broken input may cost, row by row, at every public entry point.

One simulated recording with known beats is damaged in every way devices know. Beats further than
1 s from the damage must stay where they are, none may be invented there, and what cannot be known
is NaN with a reason. Windows over damaged segments: `test_edge_windows.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.beats import detect_pulses, detect_r_peaks
from features.hrv import hrv
from features.intervals import nn_from_beats
from features.quality import GATE, signal_quality
from features.respiration import respiration_rate
from features.signals import SignalKind
from tests.features.damage_kit import DAMAGES, FS, N, three_samples, truth_s

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
COST_S = 1.0  # a beat may be lost this near to damage
RINGING_S = 1.5  # and this near to a blow to a pulse wave, whose filter reaches down to 0.5 Hz
DETECTORS = {"ecg": detect_r_peaks, "ppg": detect_pulses}
SIGNALS = pytest.mark.parametrize("signal", ["ecg", "ppg"])


@pytest.fixture(scope="module")
def waves(ecg_wave: Wave, ppg_wave: Wave) -> dict[str, Floats]:
    """60 s of each signal with the same beats."""
    return {"ecg": ecg_wave(N, FS, truth_s()), "ppg": ppg_wave(N, FS, truth_s())}


def _found_s(signal: str, x: NDArray[np.generic], fs_hz: float = FS) -> Floats:
    found = DETECTORS[signal](x, fs_hz)
    assert isinstance(found, np.ndarray)
    return found / fs_hz


def _far(times_s: Floats, spans_s: tuple[tuple[float, float], ...], cost_s: float) -> Floats:
    """Times further than `cost_s` from all damage."""
    kept = np.ones(times_s.size, np.bool_)
    for begin, end in spans_s:
        kept &= (times_s < begin - cost_s) | (times_s > end + cost_s)
    return times_s[kept]


@SIGNALS
@pytest.mark.parametrize("case", DAMAGES)
def test_damage_costs_only_the_beats_within_a_second_of_it(
    waves: dict[str, Floats], signal: str, case: str
) -> None:
    damage = DAMAGES[case]
    x = waves[signal].copy()
    damage.apply(x)
    whole, found = _found_s(signal, waves[signal]), _found_s(signal, x)
    assert len(whole) == len(truth_s())
    cost_s = RINGING_S if signal == "ppg" and "times the range" in case else COST_S
    kept, still = (_far(times, damage.spans_s, cost_s) for times in (whole, found))
    # A beat at the border of the second may cross it by the fraction it moved.
    assert abs(len(still) - len(kept)) <= len(damage.spans_s)
    moved = [np.abs(found - t).min() for t in kept] if len(found) else [np.inf]
    assert max(moved) < 0.02
    assert max(np.abs(whole - t).min() for t in still) < 0.02


@SIGNALS
def test_three_missing_samples_cost_at_most_three_beats(
    waves: dict[str, Floats], signal: str
) -> None:
    x = waves[signal].copy()
    three_samples(x)
    assert len(truth_s()) - 3 <= len(_found_s(signal, x)) <= len(truth_s())


@SIGNALS
def test_there_are_no_beats_in_what_was_not_recorded(waves: dict[str, Floats], signal: str) -> None:
    for case in ("a NaN run of 10 s", "a flat line of 20 s", "zeros for 20 s"):
        x = waves[signal].copy()
        DAMAGES[case].apply(x)
        (begin, end), *_ = DAMAGES[case].spans_s
        found = _found_s(signal, x)
        assert not np.any((found > begin) & (found < end))


@SIGNALS
@pytest.mark.parametrize("value", [0.0, 1.0, -7.5, np.nan, np.inf, -np.inf, 1e300, 5e-324])
def test_a_constant_is_no_heart(signal: str, value: float) -> None:
    x = np.full(N, value)
    assert _found_s(signal, x).size == 0
    score, reasons = signal_quality(x, FS, signal)
    assert score == 0.0
    assert reasons in {("flat",), ("gap",)}


@SIGNALS
@pytest.mark.parametrize("gain", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_gain_and_offset_change_no_beat(
    waves: dict[str, Floats], signal: str, gain: float, offset: float
) -> None:
    whole = _found_s(signal, waves[signal])
    found = _found_s(signal, gain * (waves[signal] + offset))
    assert np.abs(found - whole).max() < 1e-3


def test_an_inverted_lead_shows_the_same_beats(waves: dict[str, Floats]) -> None:
    assert np.array_equal(_found_s("ecg", -waves["ecg"]), _found_s("ecg", waves["ecg"]))


@SIGNALS
def test_the_type_and_the_layout_of_the_samples_do_not_matter(
    waves: dict[str, Floats], signal: str
) -> None:
    counts = np.round(waves[signal] * 4000).astype(np.int16)
    base = _found_s(signal, counts.astype(np.float64))
    strided = np.zeros((N, 2), np.int16)
    strided[:, 0] = counts
    variants: list[NDArray[np.generic]] = [
        counts,
        counts.astype(np.int32),
        counts.astype(">i2"),
        counts.astype(np.float32),
        counts.astype(">f8"),
        strided[:, 0],
        counts[::-1].copy()[::-1],
    ]
    assert all(np.array_equal(_found_s(signal, v), base) for v in variants)


@SIGNALS
@pytest.mark.parametrize("n", [0, 1, 2, 3, 125, 499])
def test_less_than_two_seconds_hold_no_beat(waves: dict[str, Floats], signal: str, n: int) -> None:
    assert _found_s(signal, waves[signal][:n]).size == 0
    score, reasons = signal_quality(waves[signal][:n], FS, signal)
    assert score == 0.0
    assert reasons


@SIGNALS
@pytest.mark.parametrize("fs_hz", [0.0, -250.0, math.nan, math.inf, -math.inf, 1e-9, 1e12])
def test_a_rate_that_is_none_gives_nothing(
    waves: dict[str, Floats], signal: str, fs_hz: float
) -> None:
    assert _found_s(signal, waves[signal][:3000], fs_hz).size == 0
    assert signal_quality(waves[signal][:3000], fs_hz, signal)[0] == 0.0
    rate, quality = respiration_rate({"resp": waves[signal][:3000]}, fs_hz)
    assert math.isnan(rate)
    assert quality == 0.0


@SIGNALS
def test_a_clipped_wave_keeps_its_beats_and_says_that_it_is_clipped(
    waves: dict[str, Floats], signal: str
) -> None:
    low, high = np.percentile(waves[signal], (12, 88))
    # The rail stays above the T waves: a QRS no higher than they are is not visible as one.
    x = waves[signal].clip(low, high if signal == "ppg" else 0.45)
    assert abs(len(_found_s(signal, x)) - len(truth_s())) <= 1
    assert "clip" in signal_quality(x[:2500], FS, signal)[1]


@SIGNALS
@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_fails_the_gate(signal: str, seed: int) -> None:
    white = np.random.default_rng(seed).normal(size=2500)
    for x in (white, np.cumsum(white)):
        assert signal_quality(x, FS, signal)[0] < GATE


def test_every_kind_of_signal_has_a_quality_between_none_and_full() -> None:
    rng = np.random.default_rng(0)
    for kind in SignalKind:
        for x in (np.empty(0), np.full(500, np.nan), rng.normal(size=500), np.zeros(1)):
            score, reasons = signal_quality(x, FS, kind)
            assert 0.0 <= score <= 1.0
            assert all(isinstance(reason, str) for reason in reasons)


RHYTHMS = {
    "atrial fibrillation": np.cumsum(np.random.default_rng(4).gamma(14, 0.65 / 14, 85).clip(0.35)),
    "bigeminy": np.cumsum(np.tile([0.57, 1.14], 34)),
    "a pause of 5 s": np.r_[np.arange(0.8, 25, 0.8), np.arange(30, 59, 0.8)],
    "a rate that doubles": np.r_[np.arange(0.8, 30, 1.0), np.arange(30.3, 59, 0.5)],
}


@pytest.mark.parametrize("case", RHYTHMS)
def test_an_irregular_heart_is_counted_beat_by_beat(ecg_wave: Wave, case: str) -> None:
    truth = RHYTHMS[case][RHYTHMS[case] < 59]
    found = _found_s("ecg", ecg_wave(N, FS, truth))
    assert len(found) == len(truth)
    assert np.abs(found - truth).max() < 0.02


def test_a_pacemakers_spike_is_not_a_second_beat(waves: dict[str, Floats]) -> None:
    x = waves["ecg"].copy()
    at = np.round((truth_s() - 0.06) * FS).astype(int)
    x[at] += 1.5
    assert len(_found_s("ecg", x)) == len(truth_s())


# --- intervals and their variability ------------------------------------------------------------


def test_no_interval_spans_a_gap() -> None:
    times = np.arange(0, 60, 0.8)
    times[40:50] = np.nan
    nn = nn_from_beats(times)
    assert nn.nn_ms[nn.valid].max() < 801
    assert abs(hrv(nn)["ecg_sdnn_ms"]) < 1e-6


@pytest.mark.parametrize("n", [0, 1, 2, 5, 30])
def test_too_few_beats_leave_values_missing_and_raise_nothing(n: int) -> None:
    values = hrv(nn_from_beats(np.arange(n) * 0.8))
    assert all(math.isnan(v) or math.isfinite(v) for v in values.values())
    assert math.isnan(values["ecg_lf_ms2"])
    assert math.isnan(values["ecg_hr_bpm"]) == (n < 2)
    assert math.isnan(values["ecg_rmssd_ms"]) or n > 2


def test_a_metronome_has_a_rate_and_no_variability() -> None:
    values = hrv(nn_from_beats(np.arange(400) * 0.8))
    assert values["ecg_hr_bpm"] == pytest.approx(75.0)
    assert values["ecg_sdnn_ms"] == pytest.approx(0.0, abs=1e-6)
    assert values["ecg_rmssd_ms"] == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(values["ecg_lf_hf"]) or values["ecg_lf_hf"] >= 0


HOSTILE_TIMES = {
    "duplicates": np.repeat(np.arange(0, 60, 0.8), 2),
    "backwards": np.arange(60, 0, -0.8),
    "shuffled": np.random.default_rng(0).permutation(np.arange(0, 60, 0.8)),
    "not a number": np.full(50, np.nan),
    "endless": np.array([0.0, 0.8, np.inf, 2.4, -np.inf, 4.0]),
    "0 and 65535 ms": np.cumsum(np.tile([0.8, 0.0, 65.535, 0.8], 20)),
    "astronomic": np.arange(100) * 1e12,
    "subnormal": np.arange(100) * 5e-324,
    "large and near": 1e9 + np.arange(0, 60, 0.8),
}


@pytest.mark.parametrize("case", HOSTILE_TIMES)
def test_hostile_beat_times_raise_nothing_and_make_no_false_interval_valid(case: str) -> None:
    nn = nn_from_beats(HOSTILE_TIMES[case])
    assert np.all((nn.nn_ms[nn.valid] >= 200) & (nn.nn_ms[nn.valid] <= 6000))
    for name, value in hrv(nn).items():
        assert math.isnan(value) or math.isfinite(value), name
        if name not in ("ecg_ac_ms", "ecg_dc_ms"):  # a capacity has a sign
            assert math.isnan(value) or value >= 0, name


def test_one_missed_beat_leaves_the_rate_and_the_variability_alone() -> None:
    times = np.cumsum(np.random.default_rng(2).normal(0.8, 0.02, 380))
    whole, holed = hrv(nn_from_beats(times)), hrv(nn_from_beats(np.delete(times, 190)))
    for name in ("ecg_sdnn_ms", "ecg_rmssd_ms"):
        assert holed[name] == pytest.approx(whole[name], rel=0.05)


def test_a_day_of_beats_in_one_call_is_linear_in_memory() -> None:
    times = np.cumsum(np.random.default_rng(3).normal(0.945, 0.05, 91_408))
    nn = nn_from_beats(times)
    assert nn.nn_ms.size == 91_407
    assert hrv(nn)["ecg_hr_bpm"] == pytest.approx(60 / 0.945, rel=0.01)


# --- breathing ----------------------------------------------------------------------------------


def _breathing(n: int = N) -> Floats:
    t = np.arange(n) / FS
    return np.sin(2 * np.pi * 0.25 * t) + np.random.default_rng(0).normal(0, 0.01, n)


def test_breathing_survives_a_gap_and_refuses_what_is_none() -> None:
    x = _breathing()
    x[5000:5500] = np.nan
    rate, _ = respiration_rate({"resp": x}, FS)
    assert rate == pytest.approx(15.0, abs=0.5)
    for nothing in (np.zeros(N), np.full(N, np.nan), x[:1], x[:0]):
        assert math.isnan(respiration_rate({"resp": nothing}, FS)[0])
    assert math.isnan(respiration_rate({}, FS)[0])
