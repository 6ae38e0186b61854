"""Flat rows: the intervals of many windows laid end to end, and sums that never mix them.

Nothing is padded to a common length, so no number of a row can depend on its neighbours in the
batch. Not here: any measure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.lean import unknown

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class NnRows(NamedTuple):
    """NN intervals ready to be measured: finite, row after row, in time order.

    `linked[i]` implies the same row; `stepped[i]` implies `linked[i]`.
    """

    nn_ms: Floats  # (n,)
    row: Ints  # (n,) ascending, 0 to n_rows - 1
    linked: Bools  # (n,) begins where interval i - 1 ends
    stepped: Bools  # (n,) the difference to interval i - 1 was measured, not made by a correction
    end_us: Ints  # (n,) time of the beat that ends the interval, any origin per row
    n_rows: int


def row_sums(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Sum of the values of each row, (n_rows,) float64; 0 for a row without.

    Added one by one in order, so that no bit depends on the other rows.
    """
    return np.bincount(row, weights=values, minlength=n_rows).astype(np.float64, copy=False)


def sums(values: Floats, count: Ints) -> Floats:
    """Sum of each row of values laid end to end in rows of these lengths; 0 for an empty one.

    Many times faster than `row_sums`, which rows out of order need. Each row is reduced by
    itself, so that no bit depends on the others.
    """
    filled = count.nonzero()[0]
    if filled.size == count.size and filled.size:  # the usual case: no row is empty
        return np.asarray(np.add.reduceat(values, starts_of(count)), np.float64)
    out = np.zeros(count.size)
    if filled.size:
        out[filled] = np.add.reduceat(values, starts_of(count)[filled])
    return out


def row_means(values: Floats, row: Ints, n_rows: int) -> tuple[Ints, Floats]:
    """Count and mean of the values of each ascending row; NaN for a row without."""
    n = np.bincount(row, minlength=n_rows)
    mean = unknown(n_rows)
    np.divide(sums(values, n), n, out=mean, where=n > 0)
    return n, mean


def row_deviations(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Standard deviation of each row, ddof 1; NaN for fewer than two values."""
    n, mean = row_means(values, row, n_rows)
    squares = sums((values - mean[row]) ** 2, n)
    variance = unknown(n_rows)
    np.divide(squares, n - 1, out=variance, where=n > 1)
    return np.asarray(np.sqrt(variance), np.float64)


def row_shares(true: Bools, row: Ints, n_rows: int) -> Floats:
    """Percentage of True in each row; NaN for a row without values."""
    return 100.0 * row_means(true.astype(np.float64), row, n_rows)[1]


def ratio(above: Floats, below: Floats) -> Floats:
    """`above` / `below` per row; NaN where `below` is 0 or either is NaN.

    Examples
    --------
    >>> ratio(np.array([3.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [1.5, nan]
    """
    out = unknown(above.shape)
    np.divide(above, below, out=out, where=below > 0)
    return out


def starts_of(count: Ints) -> Ints:
    """Where each row begins when rows of these lengths are laid end to end."""
    return np.asarray(count.cumsum() - count, np.int64)


def runs_of(linked: Bools) -> tuple[Ints, Ints]:
    """Start and length of each maximal run; `linked[i]`: i continues the run of i - 1.

    Examples
    --------
    >>> [a.tolist() for a in runs_of(np.array([False, True, False, True, True]))]
    [[0, 2], [2, 3]]
    """
    begins = ~linked
    begins[:1] = True
    start = np.flatnonzero(begins)
    return start, np.diff(start, append=linked.size)


def ordered_rows(values: Floats, row: Ints) -> Floats:
    """The values of each row in ascending order, rows where they were."""
    out = values.copy()
    begin = 0
    for stop in (*((row[1:] != row[:-1]).nonzero()[0] + 1).tolist(), values.size):
        out[begin:stop].sort()  # a view: row by row is faster than one sort by row and value
        begin = stop
    return out


def row_quantiles(ordered: Floats, count: Ints, place: Floats) -> Floats:
    """Value at a place (0-based, fractions interpolated) of each ordered row; NaN if empty."""
    out = unknown(count.size)
    filled = count > 0
    last = count[filled] - 1
    at = np.clip(place[filled], 0.0, last)
    below = at.astype(np.int64)
    start = starts_of(count)[filled]
    low = ordered[start + below]
    high = ordered[start + np.minimum(below + 1, last)]
    out[filled] = low + (high - low) * (at - below)
    return out
