"""A second opinion: R peaks by the slope's energy, sharing nothing with the first detector.

Where two detectors built differently agree, both are right; where noise makes one see beats the
other does not. Used for quality only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from features.ecg import kernels
from features.ecg.candidates import loops
from features.ecg.company import USUAL_RR_S, usual_rr_s
from features.ecg.decision import strongest
from features.runs import Bools, Floats, Ints

# After Pan & Tompkins (1985), IEEE Trans Biomed Eng 32:230: band, slope, square, 150 ms, two
# levels and a search back. The band is that of a 40 ms mean and a 50 ms difference: 3 to 14 Hz.
_SMOOTH_S: Final = 0.04
_SLOPE_S: Final = 0.05
_INTEGRATE_S: Final = 0.15
_APART_S: Final = 0.2
_PEAK_SHARE: Final = 0.3  # of the level
_BACK_SHARE: Final = 0.1
_MISSED: Final = 1.66  # usual intervals
_LEVEL_S: Final = 1.5


def second_opinion(slow: Floats, fs_hz: float) -> tuple[Ints, Ints]:
    """Row and working sample of R peaks.

    Parameters
    ----------
    slow : (B, n) float64
        Gap-free rows at the working rate.
    fs_hz : float
        Working rate.
    """
    row, at, size, level = _peaks(slow, fs_hz)
    sure = size > _PEAK_SHARE * level[row]
    chosen = sure | _missed((row, at / fs_hz, size, sure), len(slow))
    row, at, size = row[chosen], at[chosen], size[chosen]
    kept = strongest(row, at, size, _APART_S * fs_hz)
    return row[kept], at[kept]


def _peaks(slow: Floats, fs_hz: float) -> tuple[Ints, Ints, Floats, Floats]:
    """Row, sample and energy of what may be peaks, and the level of each row."""
    reach = round(0.5 * _APART_S * fs_hz)
    smooth_over, width = (round(s * fs_hz) | 1 for s in (_SMOOTH_S, _INTEGRATE_S))
    over = smooth_over, max(1, round(0.5 * _SLOPE_S * fs_hz)), width
    if kernels.worth_it(len(slow)):
        within = min(slow.shape[1], round(_LEVEL_S * fs_hz))
        return kernels.steepest(slow, (over, within, reach, _BACK_SHARE))
    energy = _energy(slow, over)
    level = _level(energy, fs_hz)
    row, at = loops(len(slow)).summits(energy, reach, _BACK_SHARE * level)
    return row, at, energy[row, at], level


def _energy(slow: Floats, over: tuple[int, int, int]) -> Floats:
    """Mean of the squared slope over 150 ms."""
    smooth_over, half, width = over
    smooth = ndimage.uniform_filter1d(slow, smooth_over, axis=1, mode="nearest")
    energy = np.zeros(slow.shape)
    np.subtract(smooth[:, 2 * half :], smooth[:, : -2 * half], out=energy[:, half:-half])
    energy *= energy
    return np.asarray(ndimage.uniform_filter1d(energy, width, axis=1, mode="nearest"))


def _level(energy: Floats, fs_hz: float) -> Floats:
    """Median over the row of the largest energy in a second and a half."""
    width = min(energy.shape[1], round(_LEVEL_S * fs_hz))
    whole = energy.shape[1] // width
    maxima = energy[:, : whole * width].reshape(len(energy), whole, width).max(axis=2)
    return np.asarray(np.median(maxima, axis=1), np.float64)


def _missed(peaks: tuple[Ints, Floats, Floats, Bools], n_rows: int) -> Bools:
    """The largest small peak of every interval far above the usual."""
    row, at_s, size, sure = peaks
    if kernels.worth_it(n_rows):
        out = np.zeros(row.size, np.bool_)
        kernels.over_beats().missed(*peaks, (_MISSED, USUAL_RR_S), out)
        return out
    rr_s = usual_rr_s(row[sure], at_s[sure], n_rows)
    interval = np.cumsum(sure)  # peaks between two sure ones share a number
    places = np.flatnonzero(sure)
    begin = places[(interval - 1).clip(0)] if places.size else np.zeros(row.size, np.intp)
    end = places[interval.clip(max=places.size - 1)] if places.size else begin
    between = ~sure & (row[begin] == row) & (row[end] == row) & (begin < end)
    between &= at_s[end] - at_s[begin] > _MISSED * rr_s[row]
    out = np.zeros(row.size, np.bool_)
    i = np.flatnonzero(between)
    order = np.lexsort((-size[i], interval[i]))
    first = np.unique(interval[i][order], return_index=True)[1]
    out[i[order][first]] = True
    return out


def matches(
    first: tuple[Ints, Floats], second: tuple[Ints, Floats], within: float, n_rows: int
) -> Ints:
    """Beats of each row on which both agree: each the other's nearest, within reach; (n_rows,)."""
    (row_a, at_a), (row_b, at_b) = first, second
    if not row_a.size or not row_b.size:
        return np.zeros(n_rows, np.intp)
    to_b, to_a = _nearest(first, second, n_rows), _nearest(second, first, n_rows)
    mutual = to_a[to_b] == np.arange(row_a.size)
    close = (row_b[to_b] == row_a) & (np.abs(at_b[to_b] - at_a) <= within) & mutual
    return np.bincount(row_a[close], minlength=n_rows)


def _nearest(of: tuple[Ints, Floats], among: tuple[Ints, Floats], n_rows: int) -> Ints:
    """Index of the nearest one of the same row, the earlier of two; any where the row has none."""
    (row_a, at_a), (row_b, at_b) = of, among
    if kernels.worth_it(n_rows):
        out = np.empty(row_a.size, np.intp)
        kernels.over_beats().nearest(of, among, out)
        return out
    apart = 4.0 * (max(float(at_a.max()), float(at_b.max())) + 1.0)
    after = np.searchsorted(row_b * apart + at_b, row_a * apart + at_a).clip(0, at_b.size - 1)
    before = (after - 1).clip(0)
    # Compared within the row: far down a batch a sum of both has fewer digits.
    to_before, to_after = (
        np.where(row_b[at] == row_a, np.abs(at_b[at] - at_a), np.inf) for at in (before, after)
    )
    return np.asarray(np.where(to_before <= to_after, before, after), np.intp)
