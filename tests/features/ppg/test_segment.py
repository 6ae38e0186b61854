"""Whole segments: identical bits however batched, nothing raised, movement taken into account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.feature import FeatureReason
from features.ppg.motion import N_RATES
from features.ppg.segment import Acceleration, PpgSegments, analyse_ppg

Floats = NDArray[np.float64]
FS = 64.0
N = 896
ACC_HZ = 32.0


def _per_row(found: PpgSegments) -> list[NDArray[Any]]:
    rates = found.rates
    assert rates is not None
    return [*found[3:11], *rates]


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_does_not_depend_on_its_neighbours(
    steady: Callable[..., Any], coloured: Callable[..., Floats], size: int
) -> None:
    x = steady(14.0, FS).x
    rows = np.stack([np.roll(x, 11 * i) for i in range(size)])
    rows += coloured(size, N, 2.0) * np.linspace(0, 50, size)[:, None]
    rows[size // 2, 100:103] = np.nan
    acc = 1.0 + 0.05 * coloured(size, 448, 1.0, seed=2)
    together = analyse_ppg(rows, FS, Acceleration(acc, ACC_HZ))
    for i in {0, size // 3, size // 2, size - 1}:
        alone = analyse_ppg(rows[i : i + 1], FS, Acceleration(acc[i : i + 1], ACC_HZ))
        for one, many in zip(_per_row(alone), _per_row(together), strict=True):
            np.testing.assert_array_equal(one[0], many[i])
        own = together.pulses.row == i
        np.testing.assert_array_equal(alone.pulses.position, together.pulses.position[own])
        np.testing.assert_array_equal(alone.confidence, together.confidence[own])


def test_periodic_movement_in_the_wave_lowers_its_quality(steady: Callable[..., Any]) -> None:
    t = np.arange(N) / FS
    steps = np.sin(2 * np.pi * 1.8 * t)
    x = (steady(14.0, FS).x + 1.5 * steps)[None]
    still = Acceleration(np.ones((1, 448)), ACC_HZ)
    walking = Acceleration(
        1.0 + 0.4 * np.sin(2 * np.pi * 1.8 * np.arange(448) / ACC_HZ)[None], ACC_HZ
    )
    assert analyse_ppg(x, FS, walking).quality[0] < 0.6 * analyse_ppg(x, FS, still).quality[0]


@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 500.0])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
@pytest.mark.parametrize("steps", [1.3, 3.4, 100.0])
def test_the_hum_of_an_empty_sensor_is_no_pulse(
    fs_hz: float, mains_hz: float, steps: float
) -> None:
    """Averaged down, what is left of it is as slow and as regular as pulses."""
    hum = np.round(
        steps * np.sin(2 * np.pi * mains_hz * np.arange(round(14 * fs_hz)) / fs_hz + 0.3)
    )
    found = analyse_ppg(hum[None], fs_hz)
    assert found.quality[0] == 0.0
    assert found.reason[0] in (FeatureReason.NOISE, FeatureReason.TOO_FEW_BEATS)


def test_pulses_are_kept_among_hum_of_half_their_height(steady: Callable[..., Any]) -> None:
    clean = steady(14.0, 250.0, 75.0).x
    hum = 0.25 * np.ptp(clean) * np.sin(2 * np.pi * 60.0 * np.arange(clean.size) / 250.0)
    both = analyse_ppg(np.stack([clean, clean + hum]), 250.0)
    first, second = (both.pulses.position[both.pulses.row == k] for k in (0, 1))
    assert both.quality[1] > 0.8
    np.testing.assert_allclose(first, second, atol=3.0)


def test_movement_that_does_not_reach_the_wave_costs_little(steady: Callable[..., Any]) -> None:
    x = steady(14.0, FS, 75.0).x[None]
    walking = 1.0 + 0.4 * np.sin(2 * np.pi * 1.8 * np.arange(448) / ACC_HZ)[None]
    found = analyse_ppg(x, FS, Acceleration(walking, ACC_HZ))
    assert found.quality[0] > 0.8
    assert found.reason[0] == FeatureReason.OK


def test_the_level_of_the_raw_wave_is_its_median(steady: Callable[..., Any]) -> None:
    rows = np.stack([steady(14.0, FS).x, np.full(N, 7.0), np.full(N, np.nan)])
    rows[1, :400] = np.nan
    level = analyse_ppg(rows, FS).raw_median
    assert level[0] == pytest.approx(np.median(rows[0]), abs=0.05)
    assert level[1] == 7.0
    assert np.isnan(level[2])


def test_without_an_accelerometer_there_are_no_spectral_rates(steady: Callable[..., Any]) -> None:
    assert analyse_ppg(steady(14.0, FS).x[None], FS).rates is None


def test_the_samples_are_not_changed(steady: Callable[..., Any]) -> None:
    x = steady(14.0, FS).x[None].copy()
    x[0, 50:52] = np.nan
    before = x.copy()
    analyse_ppg(x, FS)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("fs_hz", [0.0, -5.0, np.nan, np.inf, 1.0, 20.0, 64.0, 5000.0, 1e9])
@pytest.mark.parametrize("n", [0, 1, 2, 30, 900])
def test_no_samples_raise_and_every_number_is_in_its_range(fs_hz: float, n: int) -> None:
    rng = np.random.default_rng(n)
    rows = np.stack(
        [np.zeros(n), np.full(n, np.nan), rng.normal(size=n) * 1e29, np.round(rng.normal(size=n))]
    )
    for acc_hz in (0.0, np.nan, 2.0, 32.0):
        acc = Acceleration(rng.normal(1, 0.3, (4, n)), acc_hz)
        found = analyse_ppg(rows, fs_hz, acc)
        for share in (found.quality, found.bsqi, found.gap, found.flat, found.clip):
            assert share.shape == (4,)
            assert np.all((share >= 0) & (share <= 1))
        assert found.rates is not None
        assert found.rates.bpm.shape == (4, N_RATES)
        assert np.all((found.rates.motion >= 0) & (found.rates.motion <= 1))
        assert np.all((found.reason == FeatureReason.OK) == (found.quality >= 0.5))


@pytest.mark.slow
def test_a_hundred_thousand_random_rows_raise_nothing() -> None:
    rng = np.random.default_rng(7)
    for _ in range(100_000 // 512):
        n, fs_hz = int(rng.integers(20, 400)), float(rng.choice([20, 25, 30, 64]))
        rows = rng.normal(0, 10.0 ** rng.integers(-6, 7), (512, n)).cumsum(axis=1)
        rows[rng.random(rows.shape) < rng.choice([0, 0.002, 0.2])] = np.nan
        rows[rng.random(512) < 0.1] = rng.choice([np.nan, 0.0, 1e29])
        found = analyse_ppg(rows, fs_hz)
        assert np.all(np.isfinite(found.pulses.position))
        assert np.all((found.quality >= 0) & (found.quality <= 1))
