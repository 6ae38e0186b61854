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
from features.ppg import pulses as ppg_pulses
from features.ppg.choice import REFRACTORY_S as PPG_REFRACTORY_S
from features.ppg.pulses import detect_pulses
from features.runs import Bools, Floats, Ints

__all__ = [
    "ECG_REFRACTORY_S",
    "PPG_REFRACTORY_S",
    "Beats",
    "detect_pulses",
    "detect_r_peaks",
    "pulses",
    "r_peaks",
]

# Two moving averages, after Elgendi (2013), PLoS One 8:e73557; the widths are those of a QRS
# complex and a beat. The clip keeps one artefact from raising the threshold for its neighbours.
# The usual 250 and 300 ms silently halve a heart rate above 240 or 200 per minute.
ECG_REFRACTORY_S: Final = 0.22
_SHORTEST_RUN_S: Final = 2.0  # no beat-to-beat interval can be trusted in less
_CUT_EDGE_S: Final = 0.25  # filters ring next to a cut
_CLIP: Final = 3.0  # times the median of the maxima
_LOCALISE_S: Final = 0.05
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


_QRS: Final = BlockSpec(0.097, 0.611, 0.08, 0.097, 2.0)
_QRS_SEARCH_S: Final = 0.22


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
    Band-pass 8-20 Hz, squared, clipped, compared by two moving averages; the peak is then placed
    in the 5-30 Hz wave by a parabola. Runs between gaps are filtered by themselves; beats within
    0.25 s of a cut are dropped; runs shorter than 2 s give none.
    Source: Elgendi (2013), PLoS One 8:e73557.
    Checked against: ``tests/features/test_beats.py``.
    """
    return _by_row(r_peaks(runs.as_rows(ecg), fs_hz), ecg)


def r_peaks(x: Floats, fs_hz: float) -> Beats:
    """R peaks of `[B, n]` float64 rows, NaN = gap; see `detect_r_peaks`."""
    return _over_runs(x, fs_hz, _r_peaks_of_runs)


def pulses(x: Floats, fs_hz: float) -> Beats:
    """Pulses of `[B, n]` segments, float64, NaN = gap; see `features.ppg.pulses.find`."""
    found = ppg_pulses.find(x, fs_hz).pulses
    return Beats(found.row, found.position, found.amplitude)


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


def _r_peaks_of_runs(x: Floats, fs_hz: float) -> tuple[Ints, Floats, Floats]:
    """Row, position and amplitude of R peaks in gap-free rows of equal length."""
    sharp = filters.band_pass(1, 8.0, 20.0, fs_hz)
    wide = filters.band_pass(1, 5.0, 30.0, fs_hz)
    if sharp is None or wide is None:
        return _NO_BEATS
    y = np.abs(filters.zero_phase(sharp, x, round(fs_hz)))
    row, start, stop = _blocks(_clipped(_energy(y, x), fs_hz, _QRS), fs_hz, _QRS)
    stop = np.minimum(stop, start + max(1, int(_QRS_SEARCH_S * fs_hz)))
    candidate = _argmax_between(y, row, start, stop)
    amplitude = y[row, candidate]
    kept = _refractory(row, candidate, amplitude, ECG_REFRACTORY_S * fs_hz)
    row, candidate, amplitude = row[kept], candidate[kept], amplitude[kept]
    z = np.abs(filters.zero_phase(wide, x, round(fs_hz)))
    reach = max(1, round(_LOCALISE_S * fs_hz))
    peak = _argmax_between(z, row, candidate - reach, candidate + reach + 1)
    return row, peak + _parabola(z, row, peak), amplitude


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
