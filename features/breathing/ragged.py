"""Order statistics of rows of unequal length laid end to end."""

from __future__ import annotations

from typing import Final

import numpy as np

from features.runs import Floats, Ints

_QUARTERS: Final = (1, 2, 3)


def quartiles(values: Floats, row: Ints, n_rows: int) -> tuple[Floats, Floats, Floats]:
    """First quartile, median and third quartile of the values of each row.

    Parameters
    ----------
    values : (n,) float64
        Finite values, row after row.
    row : (n,) int
        Row of each value, ascending, 0 to `n_rows` - 1.
    n_rows : int

    Returns
    -------
    tuple of three (n_rows,) float64
        By straight lines between order statistics; NaN for a row without values.

    Examples
    --------
    >>> [q.tolist() for q in quartiles(np.array([3.0, 1.0, 2.0, 9.0]), np.array([0, 0, 0, 2]), 3)]
    [[1.5, nan, 9.0], [2.0, nan, 9.0], [2.5, nan, 9.0]]
    """
    count = np.bincount(row, minlength=n_rows)
    before = np.cumsum(count) - count
    dense = np.full((n_rows, max(int(count.max(initial=0)), 1)), np.inf)
    dense[row, np.arange(row.size) - before[row]] = values
    dense[count == 0] = 0.0
    dense.sort(axis=1)
    rows, last = np.arange(n_rows), np.maximum(count - 1, 0)
    out = []
    for quarter in _QUARTERS:
        at = last * quarter
        low = dense[rows, at // 4]
        step = dense[rows, np.minimum(at // 4 + 1, last)] - low
        out.append(np.where(count > 0, low + step * ((at % 4) / 4), np.nan))
    return out[0], out[1], out[2]
