"""Skin conductance: its level, and how often it answers.

A segment leaves two numbers a second; windows are dense `(B, half seconds)` arrays. Not here:
causes. Movement lifts the conductance too, so what happens while the wrist moves is not counted.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.column import Column
from features.intervals import Bools, Floats
from features.runs import is_rate, spans
from features.segment_rows import column, divided, row_mean

# Electrodes off below, a short circuit above: Kleckner et al. (2018), IEEE Trans Biomed Eng
# 65:1460.
LOWEST_US: Final = 0.05
HIGHEST_US: Final = 60.0
HZ: Final = 2
SEGMENT_STEPS: Final = 10 * HZ
LEAD_S: Final = 10  # before the window: half the long box and a rise that began there
# A running mean of 8.5 s passes half the power at 0.05 Hz (0.443 / 8.5 s): the tonic part.
_TONIC_STEPS: Final = 17
_SMOOTH_STEPS: Final = 3
_LEAST_RISE_US: Final = 0.05
_LONGEST_RISE_STEPS: Final = 5 * HZ  # a response rises within 5 s; slower is drift
# A wrist above this mean deviation moves, not trembles: light activity begins near 22-30 mg
# (Vähä-Ypyä et al. 2015, Clin Physiol Funct Imaging 35:64).
MOVING_MAD_MG: Final = 30.0


def half_seconds_of(x: Floats, fs_hz: float) -> Floats:
    """Two values a second of each 10 s segment.

    Parameters
    ----------
    x : (B, n) float64
        The cores of B segments in µS; NaN is a gap.
    fs_hz : float
        Means of the valid samples of each half second; below 2 Hz all NaN, because a response
        rises within a second or two.

    Returns
    -------
    (B, 20) float64
        µS; NaN without a sample within 0.05-60 µS.
    """
    out = np.full((x.shape[0], SEGMENT_STEPS), np.nan)
    if not is_rate(fs_hz) or fs_hz < HZ:
        return out
    valid = np.where((x >= LOWEST_US) & (x <= HIGHEST_US), x, np.nan)
    border = np.ceil(np.arange(SEGMENT_STEPS + 1) * (fs_hz / HZ) - 1e-9).astype(np.intp)
    for step in range(SEGMENT_STEPS):
        part = valid[:, border[step] : border[step + 1]]
        if part.shape[1]:
            out[:, step] = row_mean(part)
    return out


def conductance_columns(steps: Floats, moving: Bools, quality: Floats) -> dict[str, Column]:
    """Tonic level and rate of responses of windows of 60 or 300 s.

    Parameters
    ----------
    steps : (B, 20 + 2 * seconds) float64
        Two values a second, 10 s of them before the window; NaN where missing.
    moving : (B, seconds / 10) bool
        Segments of the window in which the wrist moved (`MOVING_MAD_MG`); False where unknown.
    quality : (B,) float64

    Returns
    -------
    dict of str to Column
        `eda_tonic_us`: mean of the tonic part. `eda_scr_rate_per_min`: rises of the phasic part
        by 0.05 µS or more, without a fall between and within 5 s, per minute at rest; moving time
        counts as lost. At least half of the window.

    Notes
    -----
    Thresholds: Boucsein et al. (2012), Psychophysiology 49:1017 (0.01-0.05 µS).
    Checked against: ``tests/features/test_electrodermal.py``.
    """
    lead = LEAD_S * HZ
    tonic = _running_mean(steps, _TONIC_STEPS)
    tonic[np.isnan(steps)] = np.nan
    phasic = _running_mean(steps - tonic, _SMOOTH_STEPS)
    phasic[np.isnan(steps)] = np.nan
    rest = np.repeat(~moving, SEGMENT_STEPS, axis=1)
    known = ~np.isnan(steps[:, lead:])
    n, length = known.sum(axis=1), max(known.shape[1], 1)
    resting = (known & rest).sum(axis=1)
    row, peak = _responses(phasic)
    inside = peak >= lead
    row, peak = row[inside], peak[inside] - lead
    counted = np.bincount(row[rest[row, peak]], minlength=len(steps))
    rate = divided(counted.astype(np.float64), resting / (60.0 * HZ))
    return {
        "eda_tonic_us": column(row_mean(tonic[:, lead:]), quality, n / length, n),
        "eda_scr_rate_per_min": column(rate, quality, resting / length, counted),
    }


def _responses(phasic: Floats) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], ...]:
    """Row and peak of every rise that is large and quick enough and has ended."""
    rising = phasic[:, 1:] > phasic[:, :-1]
    row, start, stop = spans(rising)
    last = phasic.shape[1] - 1
    after = phasic[row, np.minimum(stop + 1, last)]
    rise = phasic[row, stop] - phasic[row, start]
    good = (rise >= _LEAST_RISE_US) & (stop - start <= _LONGEST_RISE_STEPS)
    good &= (stop < last) & ~np.isnan(after)  # into a gap or the window's end: not seen to end
    return row[good], stop[good]


def _running_mean(x: Floats, width: int) -> Floats:
    """Centred mean of what is known within `width` steps, shorter at the ends."""
    half, n = width // 2, x.shape[1]
    known = ~np.isnan(x)
    sums = [np.zeros((x.shape[0], n + 1 + 2 * half)) for _ in range(2)]
    for total, part in zip(sums, (np.where(known, x, 0.0), known), strict=True):
        np.cumsum(part, axis=1, out=total[:, half + 1 : half + 1 + n])
        total[:, half + 1 + n :] = total[:, half + n, None]
    upper, lower = (total[:, width : width + n] - total[:, :n] for total in sums)
    return divided(upper, lower)
