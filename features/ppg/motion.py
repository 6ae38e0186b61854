"""Pulse rate where movement hides the pulses: what the spectrum holds besides the cadence.

Each segment offers a few rates; a window picks the path through them that is strong and does not
jump. Not here: single pulses, so no intervals and no variability.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from scipy import fft

from features import filters
from features.ecg import kernels
from features.ppg.flat import vertex
from features.ppg.wave import BAND_HZ, MAX_FS_HZ, MIN_FS_HZ, pulse_band
from features.runs import Floats, Ints

N_RATES: Final = 5  # offered per segment
LOWEST_BPM: Final = 30.0
HIGHEST_BPM: Final = 240.0
_PER_MIN: Final = 60.0
_STEP_BPM: Final = 2.0  # coarsest; a Hann window of 14 s resolves no better than 8
_HARMONIC: Final = 0.3  # weight of the second harmonic
_SUBHARMONIC: Final = 1.0  # of power at 1/2 and 3/2 of a rate: it is the harmonic of a slower
_REJECTION: Final = 0.95  # of what coincides with a line of movement
_LINE_HEIGHT: Final = 0.1  # of the strongest line: harmonics of the step are lines too
_MOVING_G: Final = 0.1  # standard deviation of |a| from which movement counts in full: a slow walk
# Share of the acceleration's power in its strongest line: a hand that fidgets has none.
_LINE_FROM: Final = 0.15
_LINE_FULL: Final = 0.45
_LINE_BPM: Final = 9.0  # half width of a line: the main lobe of a Hann window of 14 s
_LOBE_BPM: Final = 6.0  # half width of what counts for a rate
_JUMP_COST: Final = 0.1  # log-odds per 1/min between segments
_MOST_JUMP_COST: Final = 4.0
_FLOOR: Final = 0.02  # weight of a rate nobody offered


class Rates(NamedTuple):
    """Rates each row offers, strongest first; NaN and 0 where it has fewer."""

    bpm: Floats  # (B, N_RATES)
    weight: Floats  # (B, N_RATES) 0-1, share of the pulse band's power that speaks for it
    motion: Floats  # (B,) 0-1, share of the power that periodic movement explains


class Tracked(NamedTuple):
    """One value per window."""

    bpm: Floats  # NaN without any segment
    confidence: Floats  # 0-1, mean weight of the rates picked


class _Movement(NamedTuple):
    """Acceleration as far as it concerns the wave, on the wave's own frequencies; (B, bins)."""

    line: Floats  # 0-1, 1 where it has a line
    strength: Floats  # (B, 1) 0-1, how strong and periodic it is


def segment_rates(ppg: Floats, fs_hz: float, acc_g: Floats | None, acc_fs_hz: float) -> Rates:
    """Rates that each segment's spectrum offers once the cadence is taken out.

    Parameters
    ----------
    ppg : (B, n_samples) float64
        Pulse wave; rows with any NaN offer nothing.
    fs_hz : float
        Its sampling rate, 20 to 5000 Hz.
    acc_g : (B, m_samples) float64 or None
        Magnitude of the acceleration in g over about the same time; a row with any NaN, or
        None, counts as still.
    acc_fs_hz : float
        Its sampling rate.

    Returns
    -------
    Rates
        Never raises for what samples hold.

    Notes
    -----
    Hann periodogram of the slope of the 0.5-8 Hz wave (the slope keeps slow movement from
    outweighing the pulse), plus 0.3 of the second harmonic, times one minus the spectrum of |a|
    relative to its strongest line, as far as the movement is strong (SD of |a| against 0.1 g)
    and periodic. After the idea of Temko (2017), IEEE Trans Biomed Eng 64:2016, without his
    filter.
    Checked against: ``tests/features/ppg/test_motion.py``.
    """
    n_rows = len(ppg)
    out = Rates(np.full((n_rows, N_RATES), np.nan), np.zeros((n_rows, N_RATES)), np.zeros(n_rows))
    if ppg.shape[1] < 2 * fs_hz or not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        return out
    whole = np.flatnonzero(~np.isnan(ppg).any(axis=1))
    if whole.size == 0:
        return out
    band, inner_hz = pulse_band(ppg if whole.size == n_rows else ppg[whole], fs_hz)
    power, step_hz = _periodogram(band, inner_hz)
    power *= np.arange(power.shape[1])
    low, high = (int(np.ceil(bpm / _PER_MIN / step_hz)) for bpm in (LOWEST_BPM, HIGHEST_BPM))
    # Twice a rate must lie below half the sampling rate.
    bins: Ints = np.arange(low, min(high + 1, (round(inner_hz / step_hz) // 2 + 1) // 2))
    # `take` keeps rows contiguous: a sum must add in the same order in a batch of one.
    half, first, third, second = (
        np.take(power, at, axis=1) for at in (bins // 2, bins, 3 * bins // 2, 2 * bins)
    )
    salience = first + _HARMONIC * np.minimum(second, first)
    salience = np.maximum(salience - _SUBHARMONIC * np.minimum(half, third), 0.0)
    if acc_g is not None:
        at_hz = np.asarray(bins * step_hz, np.float64)
        movement = _movement(acc_g[whole], acc_fs_hz, at_hz)
        removed = _REJECTION * movement.strength * movement.line
        out.motion[whole] = (first * removed).sum(axis=1) / np.maximum(
            first.sum(axis=1), np.finfo(float).tiny
        )
        salience *= 1.0 - removed
    out.bpm[whole], out.weight[whole] = _strongest(salience, bins, step_hz)
    return out


def track(bpm: Floats, weight: Floats) -> Tracked:
    """The rate of windows from the rates their segments offer.

    Parameters
    ----------
    bpm, weight : (W, S, N_RATES) float64
        Of the S segments of each of W windows, in time order; NaN bpm where there is none.

    Returns
    -------
    Tracked
        Mean rate on the best path: the sum of log weights less 0.1 per 1/min of change from
        segment to segment, at most 4. Segments that offer nothing are left out.
    """
    offered = ~np.isnan(bpm)
    gain = np.where(offered, np.log(weight + _FLOOR), -np.inf)
    total, sure, n = _best_path(bpm, weight, gain)
    mean, confidence = total / np.maximum(n, 1), sure / max(bpm.shape[1], 1)
    return Tracked(np.where(n > 0, mean, np.nan), np.minimum(confidence, 1.0))


def _best_path(bpm: Floats, weight: Floats, gain: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums of rates and weights along the best path of each window; segments that offer any."""
    if kernels.worth_it(len(bpm)):
        found = np.empty((3, len(bpm)))
        costs = _JUMP_COST, _MOST_JUMP_COST
        rows = (np.ascontiguousarray(array) for array in (bpm, weight, gain))
        _compiled().tracked(*rows, costs, found)
        return found[0], found[1], found[2]
    silent = np.asarray(np.isnan(bpm).all(axis=2))  # nothing to pick: the path goes on as it was
    n_windows, n_segments, _ = bpm.shape
    score, at = np.zeros((n_windows, N_RATES)), np.full((n_windows, N_RATES), np.nan)
    total, sure = np.zeros((n_windows, N_RATES)), np.zeros((n_windows, N_RATES))
    for k in range(n_segments):
        cost = _JUMP_COST * np.abs(bpm[:, k, :, None] - at[:, None, :])
        step = score[:, None, :] - np.minimum(np.nan_to_num(cost), _MOST_JUMP_COST)
        best = step.argmax(axis=2)
        quiet = silent[:, k, None]
        reached = np.take_along_axis(step, best[:, :, None], 2)[:, :, 0] + gain[:, k]
        score = np.where(quiet, score, reached)
        kept_total, kept_sure = (np.take_along_axis(a, best, 1) for a in (total, sure))
        total = np.where(quiet, total, kept_total + np.nan_to_num(bpm[:, k]))
        sure = np.where(quiet, sure, kept_sure + weight[:, k])
        at = np.where(quiet, at, bpm[:, k])
    end = score.argmax(axis=1)[:, None]
    ends = (np.take_along_axis(sums, end, 1)[:, 0] for sums in (total, sure))
    return *ends, (~silent).sum(axis=1).astype(np.float64)


@lru_cache(maxsize=1)
def _compiled() -> ModuleType:
    return import_module("features.ppg.compiled")


def _periodogram(y: Floats, fs_hz: float) -> tuple[Floats, float]:
    """Power of each row's Hann-windowed samples, and the step between its frequencies.

    Up to twice the highest rate, or half the sampling rate.
    """
    n_fft = int(2 ** np.ceil(np.log2(max(y.shape[1], fs_hz * _PER_MIN / _STEP_BPM))))
    n_lines = min(int(2 * HIGHEST_BPM / _PER_MIN * n_fft / fs_hz) + 3, n_fft // 2 + 1)
    step_hz = fs_hz / n_fft
    if not kernels.worth_it(len(y)):
        tapered = (y - y.mean(axis=1, keepdims=True)) * _hann(y.shape[1])
        lines = fft.rfft(tapered, n_fft, axis=1)[:, :n_lines]
        return lines.real**2 + lines.imag**2, step_hz
    by, good = kernels.over_lines(), np.empty(len(y), np.bool_)
    tapered, power = np.empty(y.shape), np.empty((len(y), n_lines))
    by.tapered(np.ascontiguousarray(y), _hann(y.shape[1]), np.inf, tapered, good)
    by.powers(fft.rfft(tapered, n_fft, axis=1), power)
    return power, step_hz


@lru_cache(maxsize=64)
def _hann(n: int) -> Floats:
    return np.hanning(n)


def _movement(acc_g: Floats, fs_hz: float, at_hz: Floats) -> _Movement:
    """Spectrum of |a| at the wave's frequencies, and how much it counts."""
    still = _Movement(np.zeros((len(acc_g), at_hz.size)), np.zeros((len(acc_g), 1)))
    if acc_g.shape[1] < 2 * fs_hz or not 2 * at_hz[0] < fs_hz <= MAX_FS_HZ:
        return still
    known = np.asarray(~np.isnan(acc_g).any(axis=1))
    a = np.where(known[:, None], acc_g, 1.0)
    centred = a - a.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True))
    high_pass = filters.band_pass(2, BAND_HZ[0], BAND_HZ[1], fs_hz)
    if high_pass is None:
        return still
    power, step_hz = _periodogram(filters.zero_phase(high_pass, centred, round(fs_hz)), fs_hz)
    place = np.minimum(np.rint(at_hz / step_hz).astype(np.intp), power.shape[1] - 1)
    there = np.where(at_hz <= fs_hz / 2, np.take(power, place, axis=1), 0.0)
    top = there.max(axis=1, keepdims=True)
    line = np.minimum(there / (_LINE_HEIGHT * np.where(top > 0, top, 1.0)), 1.0)
    around = np.abs(at_hz - at_hz[there.argmax(axis=1)][:, None]) <= _LINE_BPM / _PER_MIN
    share = (there * around).sum(axis=1) / np.where(top[:, 0] > 0, there.sum(axis=1), 1.0)
    periodic = np.clip((share - _LINE_FROM) / (_LINE_FULL - _LINE_FROM), 0.0, 1.0)[:, None]
    return _Movement(line, np.minimum(spread / _MOVING_G, 1.0) * periodic)


def _strongest(salience: Floats, bins: Ints, step_hz: float) -> tuple[Floats, Floats]:
    """Rates of the highest peaks and the share of the power within their lobes."""
    reach = max(1, round(_LOBE_BPM / (step_hz * _PER_MIN)))
    if kernels.worth_it(len(salience)) and salience.shape[1] >= N_RATES:
        shape = len(salience), N_RATES
        at, shift, share = np.empty(shape, np.intp), np.empty(shape), np.empty(shape)
        _compiled().strongest(np.ascontiguousarray(salience), reach, at, shift, share)
        bpm = (bins[at] + shift) * (step_hz * _PER_MIN)
        return np.where(at >= 0, bpm, np.nan), share
    peak = np.zeros(salience.shape, np.bool_)
    inner = salience[:, 1:-1]
    peak[:, 1:-1] = (inner > salience[:, :-2]) & (inner >= salience[:, 2:])
    height = np.where(peak, salience, -1.0)
    order = np.argsort(-height, axis=1, kind="stable")[:, :N_RATES]
    there = np.take_along_axis(height, order, 1) > 0
    padded = np.pad(salience, ((0, 0), (reach, reach)))
    lobe = np.zeros(order.shape)
    for k in range(2 * reach + 1):
        lobe += np.take_along_axis(padded, order + k, 1)
    total = salience.sum(axis=1, keepdims=True)
    share = np.minimum(lobe / np.where(total > 0, total, 1.0), 1.0)
    bpm = (bins[order] + _vertices(salience, order)) * (step_hz * _PER_MIN)
    return np.where(there, bpm, np.nan), np.where(there, share, 0.0)


def _vertices(salience: Floats, order: Ints) -> Floats:
    """Sub-bin offset of each peak."""
    row = np.repeat(np.arange(len(salience)), order.shape[1])
    return vertex(salience, row, order.reshape(-1)).reshape(order.shape)
