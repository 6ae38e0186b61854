"""What breathing changes in every heart beat: the extremes of its QRS complex.

Not here: finding beats (`features.beats`), the levels of pulses (`features.ppg.pulses`), what the
values of many beats say (`series`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features import filters, runs
from features.runs import Floats, Ints

_QRS_HZ: Final = (0.5, 40.0)
_R_REACH_S: Final = 0.04
_S_REACH_S: Final = 0.096
_PAD_S: Final = 1.0


def edr_extremes(x: Floats, fs_hz: float, row: Ints, position: Floats) -> tuple[Floats, Floats]:
    """Height of the R wave and depth of the trough around it, for ECG-derived respiration.

    Parameters
    ----------
    x : (B, n_samples) float64
        ECG; NaN marks a gap.
    fs_hz : float
        Sampling rate.
    row : (n_beats,) int
        Row of each R peak, ascending.
    position : (n_beats,) float64
        R peaks in samples from the row's first, as `features.beats.r_peaks` finds them.

    Returns
    -------
    peak, trough : (n_beats,) float64
        In the unit of `x`: the largest sample within 40 ms of the R peak and the smallest within
        96 ms. NaN for a beat in a gap.

    Notes
    -----
    Taken from the 0.5-40 Hz ECG (Butterworth order 2, forwards and backwards, every gap-free run
    by itself). A window never reaches into a gap. The two are kept apart because breathing turns
    the heart's axis: their sum carries other noise than their difference.
    Source: Moody et al. (1985), Computers in Cardiology 12:113 (the principle).
    """
    smooth = _by_run(x, fs_hz, filters.band_pass(2, *_QRS_HZ, fs_hz))
    peak = _extreme(smooth, row, position, (_R_REACH_S * fs_hz, _R_REACH_S * fs_hz))
    trough = -_extreme(-smooth, row, position, (_S_REACH_S * fs_hz, _S_REACH_S * fs_hz))
    return peak, trough


def _by_run(x: Floats, fs_hz: float, sos: Floats | None) -> Floats:
    """Filter every gap-free run by itself; NaN where there is none to filter."""
    bridged = runs.bridge(x, fs_hz)
    if sos is None:
        return bridged
    out = np.full(x.shape, np.nan)
    for block in runs.runs_of(bridged, ~np.isnan(bridged), 2):
        smooth = filters.zero_phase(sos, block.x, round(_PAD_S * fs_hz))
        columns = block.start[:, None] + np.arange(block.x.shape[1])
        out[block.row[:, None], columns] = smooth
    return out


def _extreme(y: Floats, row: Ints, position: Floats, reach: tuple[float, float]) -> Floats:
    """Largest sample of `y` between `reach` before and after each position; NaN without any."""
    if row.size == 0:
        return np.empty(0)
    at = np.rint(position).astype(np.intp)
    before, after = (np.rint(np.broadcast_to(side, at.shape)).astype(np.intp) for side in reach)
    offset = np.arange(-int(before.max()), int(after.max()) + 1)
    column = at[:, None] + offset
    inside = (offset >= -before[:, None]) & (offset <= after[:, None])
    inside &= (column >= 0) & (column < y.shape[1])
    value = y[row[:, None], column.clip(0, y.shape[1] - 1)]
    inside &= ~np.isnan(value)
    largest = np.where(inside, value, -np.inf).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)
