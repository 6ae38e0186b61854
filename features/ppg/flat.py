"""Values of many rows in flat arrays: quantiles, largest samples, parabolas.

Rows are laid end to end (see `features.intervals`), so no number of a row depends on another row.
"""

from __future__ import annotations

import numpy as np

from features.ecg import kernels
from features.lean import unknown
from features.runs import Floats, Ints
from features.variability.rows import ordered_rows


def row_quantile(values: Floats, row: Ints, n_rows: int, share: float) -> Floats:
    """Linear quantile of each row's values.

    Parameters
    ----------
    values : (n,) float64
        Finite.
    row : (n,) int
        Row of each value, 0 to `n_rows` - 1, in any order.
    n_rows : int
    share : float
        0 (smallest) to 1 (largest).

    Returns
    -------
    (n_rows,) float64
        NaN for a row without values.

    Examples
    --------
    >>> row_quantile(np.array([3.0, 1.0, 2.0, 7.0]), np.array([0, 0, 0, 2]), 3, 0.5).tolist()
    [2.0, nan, 7.0]
    """
    out = unknown(n_rows)
    if values.size == 0:
        return out
    count = np.bincount(row, minlength=n_rows)
    ascending = bool((row[1:] >= row[:-1]).all())  # then row by row is faster than all at once
    ordered = _ordered(values, row, n_rows) if ascending else values[np.lexsort((values, row))]
    some = count.nonzero()[0]
    first, most = (count.cumsum() - count)[some], count[some] - 1
    place = share * most
    below = place.astype(np.intp)
    low = ordered[first + below]
    high = ordered[first + np.minimum(below + 1, most)]
    out[some] = low + (high - low) * (place - below)
    return out


def _ordered(values: Floats, row: Ints, n_rows: int) -> Floats:
    """The values of each ascending row in ascending order."""
    if not kernels.worth_it(n_rows):
        return ordered_rows(values, row)
    out = np.empty(values.size)
    kernels.over_pulse_waves().ordered(values, row, out)
    return out


def row_mean(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Mean of each row's values, added one by one in order; NaN for a row without."""
    count = np.bincount(row, minlength=n_rows)
    total = np.bincount(row, weights=values, minlength=n_rows)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def argmax_between(y: Floats, row: Ints, start: Ints, stop: Ints) -> Ints:
    """Column of the largest `y` in `[start, stop)`, not empty, of each row; the first of equals."""
    if row.size == 0:
        return start
    length = stop - start
    before = np.cumsum(length) - length  # samples in the stretches before each
    begin = row * y.shape[1] + start
    place = np.arange(int(length.sum())) + np.repeat(begin - before, length)
    value = y.reshape(-1)[place]
    largest = np.repeat(np.maximum.reduceat(value, before), length)
    ties = np.flatnonzero(value == largest)
    return np.asarray(place[ties[np.searchsorted(ties, before)]] - row * y.shape[1], np.intp)


def vertex(y: Floats, row: Ints, peak: Ints) -> Floats:
    """Offset of the vertex through an extreme and its neighbours, within half a sample."""
    inner = (peak > 0) & (peak < y.shape[1] - 1)
    flat, at = y.reshape(-1), np.where(inner, peak, 1) + row * y.shape[1]
    left, middle, right = flat[at - 1], flat[at], flat[at + 1]
    curvature = left - 2 * middle + right
    inner &= curvature != 0
    shift = 0.5 * (left - right) / np.where(inner, curvature, 1.0)
    return np.where(inner, shift.clip(-0.5, 0.5), 0.0)


def mean_of_three(y: Floats, row: Ints, at: Ints) -> Floats:
    """Mean of a sample and its two neighbours; at an end the sample counts twice."""
    flat, begin = y.reshape(-1), row * y.shape[1]
    left = flat[begin + np.maximum(at - 1, 0)]
    right = flat[begin + np.minimum(at + 1, y.shape[1] - 1)]
    return np.asarray((left + flat[begin + at] + right) / 3.0, np.float64)
