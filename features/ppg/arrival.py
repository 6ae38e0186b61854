"""Pulse arrival time: from the R peak to the steepest upslope of the pulse it causes.

A trend within one patient and one sensor position, never a blood pressure: contact pressure
alone moves it by 22-40 ms. It exists only where ECG and PPG have one clock.
Not here: the patient's own location and scale (the baseline's).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.ppg.flat import row_quantile
from features.runs import Bools, Floats, Ints

SHORTEST_US: Final = 80_000  # pre-ejection alone takes about this long
LONGEST_US: Final = 800_000  # a monitor's filters may add some 300 ms to 150-450 of physiology
FEWEST_PAIRS: Final = 10
MOST_IQR_MS: Final = 100.0  # wider: R peaks and pulses are not of one heart beat
_ROW_US: Final = 1 << 44  # more than any window: keeps rows apart on one time axis


class Arrival(NamedTuple):
    """One value per window."""

    median_ms: Floats  # NaN without a pair
    iqr_ms: Floats  # NaN without a pair
    n: Ints  # pairs


def arrival(r_row: Ints, r_us: Ints, pulse_row: Ints, pulse_us: Ints, n_rows: int) -> Arrival:
    """Pair every pulse with the R peak before it.

    Parameters
    ----------
    r_row, pulse_row : (n,) int
        Window of each R peak and of each pulse, ascending, 0 to `n_rows` - 1.
    r_us, pulse_us : (n,) int64
        Their times from the window's start on one clock, ascending within a window. R peaks up
        to 0.8 s before the window may be given with negative times, so that its first pulse
        finds its R peak.
    n_rows : int

    Returns
    -------
    Arrival
        A pulse belongs to the last R peak at least 80 ms before it; of two pulses with the same
        R peak the first counts, and none after more than 800 ms: a heart beat without a pulse,
        or a pulse whose R peak was missed, gives no pair.

    Notes
    -----
    The steepest upslope is the fiducial with the least jitter; the foot is lost in noise.
    Checked against: ``tests/features/ppg/test_arrival.py``.

    Examples
    --------
    >>> zero = np.zeros(2, np.intp)
    >>> arrival(zero, np.array([0, 800_000]), zero, np.array([210_000, 1_030_000]), 1).n.tolist()
    [2]
    """
    r_at, pulse_at = r_row * _ROW_US + r_us, pulse_row * _ROW_US + pulse_us
    before = np.searchsorted(r_at, pulse_at - SHORTEST_US, side="right") - 1
    if r_at.size == 0:
        before = np.full(pulse_at.size, -1)
        delay_us = np.zeros(pulse_at.size, np.int64)
    else:
        delay_us = pulse_at - r_at[np.maximum(before, 0)]
    pair: Bools = (before >= 0) & (delay_us <= LONGEST_US)
    first = np.ones(pair.size, np.bool_)
    first[1:] = before[1:] != before[:-1]
    pair &= first
    row, delay_ms = pulse_row[pair], delay_us[pair] / 1000.0
    low, middle, high = (row_quantile(delay_ms, row, n_rows, share) for share in (0.25, 0.5, 0.75))
    return Arrival(middle, high - low, np.bincount(row, minlength=n_rows))
