"""Every rise of the pulse wave is a candidate for a pulse; two detectors vote on each.

Not here: which candidates are pulses (`features.ppg.choice`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from scipy import ndimage

from features import runs
from features.ecg import kernels
from features.ppg.flat import argmax_between, mean_of_three
from features.ppg.wave import Wave
from features.runs import Bools, Floats, Ints

_CLIP: Final = 3.0  # times the median of the maxima: one artefact must not hide its neighbours
_CLIP_WINDOW_S: Final = 2.0
# A high-pass swings back after a fall: such a rise is not in the wave as sent.
_LEAST_RAW_RISE: Final = 0.05  # of the height in the band
# A pulse rises in 0.1-0.3 s at any rate, so its steepest second would climb 5-15 heights; the
# swing of a breath climbs less than this.
_LEAST_STEEPNESS_PER_S: Final = 3.0
# A foot lies at most so long before the steepest slope. What rises longer is carried by a swing, as
# the high-pass leaves one behind a burst: with all of it the pulse would be too flat for one.
_FOOT_S: Final = 0.35


class _Averages(NamedTuple):
    """Two moving averages of energy; a block is where the short one exceeds the long one."""

    short_s: float
    long_s: float
    offset: float  # of the row's mean energy


# Elgendi et al. (2013), PLoS One 8:e76585, for the systolic wave; the same idea for its upslope.
_SYSTOLE: Final = _Averages(0.111, 0.667, 0.02)
_UPSLOPE: Final = _Averages(0.100, 0.667, 0.02)


class Rises(NamedTuple):
    """Stretches on which the band-passed wave rises, by row, then time; inner samples."""

    row: Ints
    onset: Ints  # the minimum it starts from
    steepest: Ints
    peak: Ints  # the maximum it ends at
    height: Floats  # from onset to peak
    level: Floats  # of the onset
    climb: Floats  # steepest slope, heights per second
    by_slope: Bools  # the steepest sample lies in a block of the upslope detector
    by_area: Bools  # the peak lies in a block of the systole detector


def rises(wave: Wave) -> Rises:
    """All rises of gap-free rows that the wave as sent shares.

    Parameters
    ----------
    wave : Wave

    Returns
    -------
    Rises
        Ascending by row, then position; a row may have none.
    """
    if kernels.worth_it(len(wave.band)):
        return _compiled_rises(wave)
    y, slope = wave.band, wave.slope
    row, start, stop = runs.spans(slope > 0)
    onset, peak = np.maximum(start - 1, 0), np.minimum(stop, y.shape[1] - 1)
    # A centred difference changes its sign within a sample of the extreme, on either side.
    flat, begin = y.reshape(-1), row * y.shape[1]
    onset = np.where(flat[begin + onset] < flat[begin + start], onset, start)
    peak = np.where(flat[begin + peak] > flat[begin + stop - 1], peak, stop - 1)
    steepest = argmax_between(slope, row, start, stop)
    onset = _feet(slope, row, (onset, steepest), round(_FOOT_S * wave.fs_hz))
    level = flat[begin + onset]
    height = flat[begin + peak] - level
    raw_rise = mean_of_three(wave.raw, row, peak) - mean_of_three(wave.raw, row, onset)
    climb = slope.reshape(-1)[begin + steepest] * wave.fs_hz / height
    real = np.flatnonzero(
        (raw_rise >= _LEAST_RAW_RISE * height) & (climb >= _LEAST_STEEPNESS_PER_S)
    )
    row, steepest, peak = row[real], steepest[real], peak[real]
    by_slope = _blocks(slope, wave.fs_hz, _UPSLOPE)[row, steepest]
    by_area = _blocks(y, wave.fs_hz, _SYSTOLE)[row, peak]
    height, level, climb = height[real], level[real], climb[real]
    return Rises(row, onset[real], steepest, peak, height, level, climb, by_slope, by_area)


def _feet(slope: Floats, row: Ints, rise: tuple[Ints, Ints], reach: int) -> Ints:
    """Onsets of rises to their steepest sample; the flattest within reach if one is earlier."""
    onset, steepest = rise
    long = np.flatnonzero(steepest - onset > reach)
    if long.size == 0:
        return onset
    onset, last = onset.copy(), steepest[long]
    onset[long] = argmax_between(-slope, row[long], last - reach, last)
    return onset


def _compiled_rises(wave: Wave) -> Rises:
    """The same by a loop."""
    n_rows, n = wave.band.shape
    most = n_rows * ((n + 1) // 2)
    places, values = np.empty((4, most), np.intp), np.empty((3, most))
    specs = [
        (
            max(1, round(_CLIP_WINDOW_S * wave.fs_hz)),
            _CLIP,
            int(spec.short_s * wave.fs_hz) | 1,
            int(spec.long_s * wave.fs_hz) | 1,
            spec.offset,
        )
        for spec in (_UPSLOPE, _SYSTOLE)
    ]
    waves = tuple(np.ascontiguousarray(part) for part in (wave.raw, wave.band, wave.slope))
    reach = round(_FOOT_S * wave.fs_hz)
    limits = wave.fs_hz, _LEAST_RAW_RISE, _LEAST_STEEPNESS_PER_S, reach
    k = _loops().rises(waves, limits, (places, values))
    row, onset, steepest, peak = places[:, :k].copy()
    by_slope, by_area = np.empty((2, k), np.bool_)
    _loops().voted(waves[2], (row, steepest), specs[0], by_slope)
    _loops().voted(waves[1], (row, peak), specs[1], by_area)
    height, level, climb = values[:, :k].copy()
    return Rises(row, onset, steepest, peak, height, level, climb, by_slope, by_area)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.ppg.compiled")


def _blocks(wave: Floats, fs_hz: float, spec: _Averages) -> Bools:
    """Where the short average of the energy of the positive part exceeds the long one."""
    energy = np.maximum(wave, 0.0)
    energy *= energy
    width = max(1, round(_CLIP_WINDOW_S * fs_hz))
    whole = energy.shape[1] // width
    if whole:
        maxima = energy[:, : whole * width].reshape(len(energy), whole, width).max(axis=2)
        level = _CLIP * np.median(maxima, axis=1, keepdims=True)
        np.minimum(energy, np.where(level > 0, level, np.inf), out=energy)
    long = _moving_average(energy, int(spec.long_s * fs_hz) | 1)
    long += spec.offset * energy.mean(axis=1, keepdims=True)
    inside: Bools = _moving_average(energy, int(spec.short_s * fs_hz) | 1) > long
    inside[:, [0, -1]] = False
    return inside


def _moving_average(x: Floats, width: int) -> Floats:
    """Centred moving average of each row; its ends are held."""
    return np.asarray(ndimage.uniform_filter1d(x, width, axis=1, mode="nearest"), np.float64)
