"""The wave detectors see: averaged down in place, split at gaps, its noise known."""

from __future__ import annotations

import numpy as np
import pytest

from features.ppg.wave import gap_free, pulse_wave, usable_samples


@pytest.mark.parametrize("fs_hz", [20.0, 25.0, 64.0, 100.0, 125.0, 250.0, 499.7, 2000.0])
def test_the_inner_rate_is_near_40_to_80_hz_and_positions_are_kept(fs_hz: float) -> None:
    t = np.arange(round(20 * fs_hz)) / fs_hz
    wave = pulse_wave(np.sin(2 * np.pi * 1.3 * t)[None], fs_hz)
    assert wave.fs_hz <= 80 or fs_hz < 80
    assert wave.fs_hz >= 40 or wave.fs_hz == fs_hz
    at_s = wave.outer(np.arange(wave.band.shape[1])) / fs_hz
    inside = (at_s > 3) & (at_s < 17)
    expected = np.sin(2 * np.pi * 1.3 * at_s[inside])
    assert np.corrcoef(wave.band[0, inside], expected)[0, 1] > 0.9999


def test_a_constant_has_no_wave_at_any_level() -> None:
    wave = pulse_wave(np.full((1, 1000), 12345.678), 64.0)
    assert not wave.band.any()
    assert not wave.slope.any()


@pytest.mark.parametrize("deviation", [0.01, 1.0])
def test_the_noise_is_that_of_white_noise_and_a_pulse_adds_little(deviation: float) -> None:
    t = np.arange(6400) / 64.0
    pulse = np.exp(2 * np.sin(2 * np.pi * 1.2 * t))
    noise = np.random.default_rng(0).normal(0, deviation, t.size)
    assert pulse_wave(noise[None], 64.0).noise()[0] == pytest.approx(deviation, rel=0.05)
    alone = pulse_wave(pulse[None], 64.0).noise()[0]
    assert alone < 0.01 * np.ptp(pulse)


def test_runs_are_split_at_gaps_and_flat_lines_and_short_ones_left_out() -> None:
    """row 0 whole; row 1: 500 | gap | 497; row 2: 100 | flat | 600"""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 1000))
    x[1, 500:503] = np.nan
    x[2, 100:400] = 0.5
    bridged, usable = usable_samples(x, 64.0)
    runs = [
        (int(row), int(start), run.x.shape[1])
        for run in gap_free(bridged, usable, 64.0)
        for row, start in zip(run.row, run.start, strict=True)
    ]
    assert sorted(runs) == [(0, 0, 1000), (1, 0, 500), (1, 503, 497), (2, 400, 600)]


def test_a_single_missing_sample_is_bridged() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1000))
    x[0, 500] = np.nan
    bridged, usable = usable_samples(x, 64.0)
    assert usable.all()
    assert bridged[0, 500] == pytest.approx(0.5 * (x[0, 499] + x[0, 501]))


def _pulsing(fs_hz: float, seconds: float = 14.0, per_s: float = 1.2) -> np.ndarray:
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    wave: np.ndarray = np.exp(2 * np.sin(2 * np.pi * per_s * t))
    return wave


@pytest.mark.parametrize("fs_hz", [50.0, 64.0, 125.0, 250.0])
@pytest.mark.parametrize("at_s", [0.0, 6.3, 13.99])
def test_a_spike_of_one_sample_leaves_the_wave_as_it_was(fs_hz: float, at_s: float) -> None:
    x = _pulsing(fs_hz)
    spiked = x.copy()
    spiked[min(round(at_s * fs_hz), x.size - 1)] += 300.0
    off = np.abs(pulse_wave(spiked[None], fs_hz).band - pulse_wave(x[None], fs_hz).band)
    assert off.max() < 0.1 * np.ptp(x)


@pytest.mark.parametrize("fs_hz", [50.0, 64.0, 125.0, 250.0])
@pytest.mark.parametrize("height", [-200.0, 10.0, 200.0])
def test_a_step_leaves_the_wave_as_it_was(fs_hz: float, height: float) -> None:
    x = _pulsing(fs_hz)
    stepped = x.copy()
    stepped[round(6.3 * fs_hz) :] += height
    off = np.abs(pulse_wave(stepped[None], fs_hz).band - pulse_wave(x[None], fs_hz).band)
    assert off.max() < 0.1 * np.ptp(x)


@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 500.0])
@pytest.mark.parametrize("length_s", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("size", [1.0, 2.0, 5.0])
def test_the_large_jumps_of_a_burst_are_not_summed_to_a_step(
    fs_hz: float, length_s: float, size: float
) -> None:
    """Taken out one by one they left a level many pulses away."""
    x = _pulsing(fs_hz)
    n, first = round(length_s * fs_hz), round(5 * fs_hz)
    noise = np.random.default_rng(3).normal(0, size * np.ptp(x), n)
    burst = x.copy()
    burst[first : first + n] += noise
    raw = pulse_wave(burst[None], fs_hz).raw[0]
    clean = pulse_wave(x[None], fs_hz).raw[0]
    per_s = raw.size / 14
    after = slice(int((5.1 + length_s) * per_s), int((6.1 + length_s) * per_s))
    off = np.median(raw[after] - clean[after])
    assert abs(off) < (0.5 + size) * np.ptp(x)
    assert np.ptp(raw[after]) == pytest.approx(np.ptp(clean[after]), rel=0.05)


@pytest.mark.parametrize("fs_hz", [20.0, 25.0, 64.0])
@pytest.mark.parametrize("per_s", [25 / 60, 1.0, 4.0])
def test_the_rise_of_a_pulse_is_no_step(fs_hz: float, per_s: float) -> None:
    since = np.arange(round(14 * fs_hz)) / fs_hz % (1 / per_s)
    x = np.exp(-0.5 * ((since - 0.12) / 0.04) ** 2)
    assert pulse_wave(x[None], fs_hz).raw.tobytes() == _averaged(x[None], fs_hz).tobytes()


def _averaged(x: np.ndarray, fs_hz: float) -> np.ndarray:
    factor = max(1, int(fs_hz / 40))
    mean: np.ndarray = x[:, : x.shape[1] // factor * factor].reshape(1, -1, factor).mean(axis=2)
    return mean
