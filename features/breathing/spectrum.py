"""How much of a series' power lies at each breathing rate.

Not here: what several sources together say (`fusion`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from scipy import fft

from features.breathing.wave import WAVE_HZ
from features.ecg import kernels
from features.lean import number_or, take_along
from features.runs import Bools, Floats

_N_FFT: Final = 480  # 4 Hz / 480: one bin is half a breath per minute
STEP_PER_MIN: Final = 60.0 * WAVE_HZ / _N_FFT
MOST_SAMPLES: Final = _N_FFT
_LOWEST: Final = 8  # 4/min
_HIGHEST: Final = 90  # 45/min
_HIGHEST_OF_WAVE: Final = 180  # 90/min: the chest wave is not sampled by heart beats
RATES_PER_MIN: Final = np.arange(_LOWEST, _HIGHEST + 1) * STEP_PER_MIN
N_RATES: Final = RATES_PER_MIN.size
_HALF: Final = np.arange(_LOWEST, _HIGHEST + 1) // 2
_HALF_ABOVE: Final = np.arange(_LOWEST + 1, _HIGHEST + 2) // 2
N_BINS: Final = _HIGHEST_OF_WAVE + 1
_BINS_PER_MIN: Final = np.arange(N_BINS) * STEP_PER_MIN
LEAST_COVERAGE: Final = 0.5
_LEAST_SAMPLES: Final = round(16 * WAVE_HZ)  # one breath at 4/min, two at 8/min
_NEGLIGIBLE: Final = 1e-9  # of the largest value: below it a series is rounding
_NEAR: Final = 0.3  # of a rate: where breaths of that mean rate put their power
_PEAK_BINS: Final = 2  # on both sides: the main lobe of a 60-s Hann window


class Spectra(NamedTuple):
    """Relative power density of each row's series in bins of 0.5/min."""

    power: Floats  # (B, N_BINS) from 0 to 90/min, mean 1 over the rates; 0 in an absent row
    present: Bools  # (B,) enough of the series is known and it varies
    coverage: Floats  # (B,) 0-1, share of the window that is known


def spectra(x: Floats) -> Spectra:
    """Relative power of 4 Hz series at breathing rates.

    Parameters
    ----------
    x : (B, n_samples) float64
        At most 480 samples (120 s); NaN where unknown.

    Returns
    -------
    Spectra

    Notes
    -----
    Straight-line trend removed, Hann window, unknown samples zero, zero-padded to 480 points;
    power times frequency (noise of beat-by-beat series falls with frequency), scaled to mean 1
    over 4-45/min.
    """
    power, covered, varies = _power(x)
    band = power * _BINS_PER_MIN
    mean = at_rates(band).mean(axis=1, keepdims=True)
    present = varies & (mean[:, 0] > 0) & (covered >= LEAST_COVERAGE)
    scaled = np.where(present[:, None], band / np.where(mean > 0, mean, 1.0), 0.0)
    return Spectra(scaled, present, covered)


def at_rates(bins: Floats) -> Floats:
    """Values at `RATES_PER_MIN` from values in all bins, (B, N_RATES)."""
    return np.ascontiguousarray(bins[:, _LOWEST : _HIGHEST + 1])


def at_double(bins: Floats) -> Floats:
    """Values at twice each rate, (B, N_RATES)."""
    return np.ascontiguousarray(bins[:, 2 * _LOWEST : 2 * _HIGHEST + 1 : 2])


def at_half(bins: Floats) -> Floats:
    """Values at half of each rate, between two bins their mean, (B, N_RATES)."""
    return np.asarray((bins[:, _HALF] + bins[:, _HALF_ABOVE]) / 2.0, np.float64)


def share_near(x: Floats, per_min: Floats) -> Floats:
    """Share of the 4-90/min power of each row within 30 % of a rate, (B,) 0-1; 0 for NaN."""
    power, _, varies = _power(x)
    band = np.ascontiguousarray(power[:, _LOWEST:N_BINS])
    rates = _BINS_PER_MIN[_LOWEST:]
    wanted = number_or(per_min)[:, None]
    near = np.where(np.abs(rates - wanted) <= _NEAR * wanted, band, 0.0).sum(axis=1)
    total = band.sum(axis=1)
    return np.where(varies & (total > 0), near / np.where(total > 0, total, 1.0), 0.0)


def around_peak(y: Floats) -> Floats:
    """The largest value of each row with two neighbours on both sides, (B, 5); 0 outside."""
    at = y.argmax(axis=1)[:, None] + np.arange(-_PEAK_BINS, _PEAK_BINS + 1)
    inside = (at >= 0) & (at < y.shape[1])
    near = take_along(y, at.clip(0, y.shape[1] - 1))
    return np.where(inside, near, 0.0)


def _power(x: Floats) -> tuple[Floats, Floats, Bools]:
    """Power in bins of 0.5/min, the share of samples that are known, and which rows vary at all."""
    if not _LEAST_SAMPLES <= x.shape[1] <= MOST_SAMPLES:
        known = np.isfinite(x).mean(axis=1) if x.shape[1] else np.zeros(len(x))
        return np.zeros((len(x), N_BINS)), known, np.zeros(len(x), np.bool_)
    waves, covered, varies = _tapered(x)
    spectrum = fft.rfft(waves, _N_FFT, axis=1)[:, :N_BINS]
    return spectrum.real**2 + spectrum.imag**2, covered, varies


def _tapered(x: Floats) -> tuple[Floats, Floats, Bools]:
    """Rows ready to be transformed, the share of their samples that is known, and which vary."""
    if kernels.worth_it(len(x)):
        out, n_known, varies = np.empty(x.shape), np.empty(len(x)), np.empty(len(x), np.bool_)
        window = _hann(x.shape[1]).copy()  # one that cannot be written to is another type
        _loops().tapered(np.ascontiguousarray(x), window, _NEGLIGIBLE, out, n_known, varies)
        return out, n_known / x.shape[1], varies
    known = np.isfinite(x)
    filled = np.where(known, x, 0.0)
    flat = _without_trend(filled, known)
    largest = np.abs(filled).max(axis=1)
    varies = np.abs(flat).max(axis=1) > _NEGLIGIBLE * largest
    flat = flat / np.where(varies, largest, 1.0)[:, None]  # squares of any unit stay finite
    return flat * _hann(x.shape[1]), known.mean(axis=1), varies


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.window_loops")


def _without_trend(x: Floats, known: Bools) -> Floats:
    """Rows minus the straight line through their known samples; 0 where unknown."""
    n = np.maximum(known.sum(axis=1, keepdims=True), 1)
    t = np.where(known, np.arange(x.shape[1], dtype=np.float64), 0.0)
    t = np.where(known, t - t.sum(axis=1, keepdims=True) / n, 0.0)
    x = np.where(known, x - x.sum(axis=1, keepdims=True) / n, 0.0)
    spread = (t * t).sum(axis=1, keepdims=True)
    slope = (t * x).sum(axis=1, keepdims=True) / np.where(spread > 0, spread, 1.0)
    return np.asarray(x - slope * t, np.float64)


@lru_cache(maxsize=64)
def _hann(n: int) -> Floats:
    """Periodic Hann window."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    window.flags.writeable = False
    return window
