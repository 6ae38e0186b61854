"""Heart beats: R peaks of the ECG and pulses of the PPG, at sub-sample positions.

Not here: which beats belong to which window, RR intervals and their correction.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from features import filters, runs
from features.ecg import detector
from features.ecg.decision import REFRACTORY_S
from features.runs import Bools, Floats, Ints

# Two moving averages, after Elgendi et al. (2013), PLoS One 8:e76585; the widths are those of a
# systole and a beat. The clip keeps one artefact from raising the threshold for its neighbours.
# The usual 250 and 300 ms silently halve a heart rate above 240 or 200 per minute.
ECG_REFRACTORY_S: Final = REFRACTORY_S
PPG_REFRACTORY_S: Final = 0.22
_SHORTEST_RUN_S: Final = 2.0  # no beat-to-beat interval can be trusted in less
_CUT_EDGE_S: Final = 0.25  # filters ring next to a cut
_CLIP: Final = 3.0  # times the median of the maxima
_PPG_PAD_S: Final = 1.0
_UPSLOPE_S: Final = 0.3  # the steepest rise lies no further before its peak
MIN_FS_HZ: Final = 20.0
MAX_FS_HZ: Final = 5000.0
_ROUNDING: Final = 1e-9  # of the largest sample: below it a filter's output is its own error


class BlockSpec(NamedTuple):
    """How energy becomes blocks: a block is where the short average exceeds the long one."""

    short_s: float
    long_s: float
    offset: float  # of the row's mean energy
    min_block_s: float
    clip_window_s: float


_SYSTOLE: Final = BlockSpec(0.111, 0.667, 0.02, 0.111, 2.0)


class Beats(NamedTuple):
    """Beats of a batch, sorted by row, then position. Rows without beats are absent."""

    row: Ints
    position: Floats  # samples from the row's first
    amplitude: Floats  # of the band-passed wave, in the signal's unit, at least 0


_Finder = Callable[[Floats, float], tuple[Ints, Floats, Floats]]
_NO_BEATS: Final = (np.empty(0, np.intp), np.empty(0), np.empty(0))


def detect_r_peaks(ecg: NDArray[np.generic], fs_hz: float) -> Floats | list[Floats]:
    """Positions of the R peaks.

    Parameters
    ----------
    ecg : (n_samples,) or (B, n_samples), any numeric type
        ECG of either polarity in any unit; NaN or infinite marks a gap.
    fs_hz : float
        Sampling rate, 25 to 2000 Hz. At other rates nothing is found.

    Returns
    -------
    (n_beats,) float64, or a list of B such arrays
        Samples from the first, ascending, to a fraction of a sample. Empty if there is no beat.

    Raises
    ------
    ValueError
        If `ecg` has neither one nor two dimensions.

    Notes
    -----
    Every summit of the 8-24 Hz envelope is a candidate; two small networks decide which are
    beats by size, shape and rhythm among their neighbours; the peak of the 4-30 Hz wave is then
    placed by a quartic. Rows above 20 s are cut into 10 s with 2 s on either side, as a stream
    is. Runs between gaps are looked at by themselves; beats within 0.25 s of a cut are dropped;
    runs shorter than 2 s give none.
    Source: own; the energy ratio among the inputs after Elgendi (2013), PLoS One 8:e73557.
    Checked against: ``tests/features/test_beats.py``, ``benchmarks/bench_beats_ecg.py``.
    """
    return _by_row(r_peaks(runs.as_rows(ecg), fs_hz), ecg)


def detect_pulses(ppg: NDArray[np.generic], fs_hz: float) -> Floats | list[Floats]:
    """Positions of the steepest upslopes of the pulse wave; as `detect_r_peaks`.

    Parameters
    ----------
    ppg : (n_samples,) or (B, n_samples), any numeric type
        Pulse wave, systole upwards; NaN or infinite marks a gap.
    fs_hz : float
        Sampling rate, 25 to 2000 Hz.

    Returns
    -------
    (n_pulses,) float64, or a list of B such arrays
        Samples from the first, ascending, to a fraction of a sample.

    Raises
    ------
    ValueError
        If `ppg` has neither one nor two dimensions.

    Notes
    -----
    Systolic peaks by two moving averages of the 0.5-8 Hz wave, then the steepest rise before
    each: peaks are found most surely, upslopes are timed most sharply.
    Source: Elgendi et al. (2013), PLoS One 8:e76585.
    Checked against: ``tests/features/test_beats.py``.
    """
    return _by_row(pulses(runs.as_rows(ppg), fs_hz), ppg)


def r_peaks(x: Floats, fs_hz: float) -> Beats:
    """R peaks of `[B, n]` float64 rows, NaN = gap; see `detect_r_peaks`."""
    found = detector.in_rows(x, fs_hz)
    return Beats(found.row, found.position, found.amplitude)


def pulses(x: Floats, fs_hz: float) -> Beats:
    """Pulses of `[B, n]` float64 rows, NaN = gap; see `detect_pulses`."""
    return _over_runs(x, fs_hz, _pulses_of_runs)


def _by_row(beats: Beats, like: NDArray[np.generic]) -> Floats | list[Floats]:
    """Positions in the shape the caller gave: one array, or one per row."""
    if np.ndim(like) == 1:
        return beats.position
    n_rows = np.shape(like)[0]
    borders = np.searchsorted(beats.row, np.arange(n_rows + 1)).tolist()
    return [beats.position[first:last] for first, last in pairwise(borders)]


def _over_runs(x: Floats, fs_hz: float, find: _Finder) -> Beats:
    """Apply a finder to every gap-free run and put its beats back into their rows."""
    nothing = Beats(np.empty(0, np.intp), np.empty(0), np.empty(0))
    if x.size == 0 or not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        return nothing
    bridged = runs.bridge(x, fs_hz)
    usable = ~np.isnan(bridged) & ~runs.flat(bridged, fs_hz)
    edge = _CUT_EDGE_S * fs_hz
    found = []
    for block in runs.runs_of(bridged, usable, int(_SHORTEST_RUN_S * fs_hz)):
        n = block.x.shape[1]
        row, position, amplitude = find(block.x, fs_hz)
        start = block.start[row]
        cut_left, cut_right = start > 0, start + n < x.shape[1]
        kept = ~(cut_left & (position < edge)) & ~(cut_right & (position > n - 1 - edge))
        found.append((block.row[row][kept], (position + start)[kept], amplitude[kept]))
    if not found:
        return nothing
    row, position, amplitude = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((position, row))
    return Beats(row[order], position[order], amplitude[order])


def _pulses_of_runs(x: Floats, fs_hz: float) -> tuple[Ints, Floats, Floats]:
    """Row, steepest-upslope position and peak amplitude of pulses in gap-free rows."""
    band = filters.band_pass(2, 0.5, 8.0, fs_hz)
    if band is None:
        return _NO_BEATS
    y = filters.zero_phase(band, x, round(_PPG_PAD_S * fs_hz))
    rising = np.gradient(y, axis=1)
    row, start, stop = _blocks(_clipped(_energy(y.clip(0), x), fs_hz, _SYSTOLE), fs_hz, _SYSTOLE)
    peak = _argmax_between(y, row, start, stop)
    amplitude = y[row, peak]
    kept = _refractory(row, peak, amplitude, PPG_REFRACTORY_S * fs_hz)
    row, peak, amplitude = row[kept], peak[kept], amplitude[kept]
    reach = max(1, round(_UPSLOPE_S * fs_hz))
    start = peak - reach
    same = np.flatnonzero(np.diff(row) == 0) + 1
    start[same] = np.maximum(start[same], peak[same - 1])  # not the rise of the pulse before
    steepest = _argmax_between(rising, row, start, peak + 1)
    return row, steepest + _parabola(rising, row, steepest), amplitude


def _energy(y: Floats, x: Floats) -> Floats:
    """Square of `y`, zero where it is only the rounding of `x`."""
    floor = _ROUNDING * np.abs(x).max(axis=1, keepdims=True)
    return np.where(np.abs(y) > floor, y, 0.0) ** 2


def _clipped(energy: Floats, fs_hz: float, spec: BlockSpec) -> Floats:
    """Energy limited to 3 x the median of its maxima, so that one artefact cannot hide beats."""
    width = max(1, round(spec.clip_window_s * fs_hz))
    whole = energy.shape[1] // width
    if whole == 0:
        return energy
    maxima = energy[:, : whole * width].reshape(len(energy), whole, width).max(axis=2)
    level = _CLIP * np.median(maxima, axis=1, keepdims=True)
    return np.minimum(energy, np.where(level > 0, level, np.inf))


def _blocks(energy: Floats, fs_hz: float, spec: BlockSpec) -> tuple[Ints, Ints, Ints]:
    """Row, start and stop of the stretches whose short average exceeds the long one."""
    short = _moving_average(energy, int(spec.short_s * fs_hz) | 1)
    long = _moving_average(energy, int(spec.long_s * fs_hz) | 1)
    inside = short > long + spec.offset * energy.mean(axis=1, keepdims=True)
    inside[:, [0, -1]] = False
    row, start, stop = runs.spans(inside)
    enough = stop - start >= int(spec.min_block_s * fs_hz)
    return row[enough], start[enough], stop[enough]


def _moving_average(x: Floats, width: int) -> Floats:
    """Centred moving average of each row; its ends are held."""
    return np.asarray(ndimage.uniform_filter1d(x, width, axis=1, mode="nearest"), np.float64)


def _argmax_between(y: Floats, row: Ints, start: Ints, stop: Ints) -> Ints:
    """Column of the largest `y` in `[start, stop)` of each given row, the first of equals."""
    if row.size == 0:
        return start
    start, stop = start.clip(0), stop.clip(max=y.shape[1])
    length = stop - start
    before = np.cumsum(length) - length  # samples in the stretches before each
    column = np.arange(int(length.sum())) - np.repeat(before - start, length)
    value = y[np.repeat(row, length), column]
    largest = np.repeat(np.maximum.reduceat(value, before), length)
    ties = np.flatnonzero(value == largest)
    return np.asarray(column[ties[np.searchsorted(ties, before)]], np.intp)


def _parabola(y: Floats, row: Ints, peak: Ints) -> Floats:
    """Offset of the vertex through a peak and its neighbours, within half a sample."""
    inner = (peak > 0) & (peak < y.shape[1] - 1)
    at = np.where(inner, peak, 1)
    left, middle, right = y[row, at - 1], y[row, at], y[row, at + 1]
    curvature = left - 2 * middle + right
    inner &= curvature < 0
    shift = 0.5 * (left - right) / np.where(inner, curvature, 1.0)
    return np.where(inner, shift.clip(-0.5, 0.5), 0.0)


def _refractory(row: Ints, position: Ints, amplitude: Floats, nearest: float) -> Bools:
    """Which candidates remain when of two too close ones the larger (the earlier) is kept."""
    kept = np.ones(row.size, np.bool_)
    close = (np.diff(row) == 0) & (np.diff(position) < nearest)
    best = last = -2
    for i in (np.flatnonzero(close) + 1).tolist():
        if i - 1 > last:  # a new cluster: the one before stands until beaten
            best = i - 1
        last = i
        if position[i] - position[best] >= nearest:
            best = i
        elif amplitude[i] > amplitude[best]:
            kept[best] = False
            best = i
        else:
            kept[i] = False
    return kept
