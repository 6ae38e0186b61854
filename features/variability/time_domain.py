"""Measures in time: level, spread, differences and shape of the distribution of NN.

Not here: what kept a row from having enough intervals (`features.beat_windows`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability import loops
from features.variability.rows import (
    Floats,
    Ints,
    NnRows,
    ordered_rows,
    ratio,
    row_deviations,
    row_means,
    row_quantiles,
    row_shares,
    starts_of,
    sums,
)

_MEDIAN_OF: Final = 5  # intervals; the extremes of a window are no single interval's
_WIDE_MS: Final = 50.0  # pNN50, pNN20
_NARROW_MS: Final = 20.0
_BIN_MS: Final = 1000.0 / 128.0  # Task Force 1996: the histogram of a 128 Hz recorder


class TimeDomain(NamedTuple):
    """(n_rows,) each; NaN where too few intervals exist."""

    n: Ints  # intervals
    mean_ms: Floats
    sdnn_ms: Floats
    cvnn: Floats
    rmssd_ms: Floats
    sdsd_ms: Floats
    pnn50_pct: Floats
    pnn20_pct: Floats
    hr_min_bpm: Floats
    hr_max_bpm: Floats


class Distribution(NamedTuple):
    """(n_rows,) each; NaN for a row without intervals."""

    iqr_ms: Floats
    mad_ms: Floats
    hti: Floats


def steps_of(nn: NnRows) -> tuple[Floats, Ints]:
    """Differences of adjacent NN of all rows, and the row of each."""
    at = np.flatnonzero(nn.stepped)
    return nn.nn_ms[at] - nn.nn_ms[at - 1], nn.row[at]


def time_domain(nn: NnRows) -> TimeDomain:
    """Mean, SDNN, CVNN, RMSSD, SDSD, pNN50, pNN20 and the extremes of the rate.

    Parameters
    ----------
    nn : NnRows
        Intervals of all rows.

    Returns
    -------
    TimeDomain
        SDNN and SDSD with ddof 1, SDSD of signed differences; pNN counts |difference| > 50 or
        20 ms, strictly, of all differences. Differences exist between measured neighbours only:
        none bridges a gap or touches an interpolated interval. The extremes are 60000 / running
        median of 5 linked NN.

    Notes
    -----
    Source: Task Force of the ESC and NASPE (1996), Circulation 93:1043, table 1.
    Checked against: ``tests/features/test_hrv.py``.
    """
    by_loop = loops.time_domain(nn, (_WIDE_MS, _NARROW_MS))
    if by_loop is not None:
        return TimeDomain(by_loop[0], *by_loop[1])
    n, mean = row_means(nn.nn_ms, nn.row, nn.n_rows)
    sdnn = row_deviations(nn.nn_ms, nn.row, nn.n_rows)
    step, row = steps_of(nn)
    size = np.abs(step)
    slowest, fastest = _extremes(nn)
    return TimeDomain(
        n,
        mean,
        sdnn,
        ratio(sdnn, mean),
        np.sqrt(row_means(step**2, row, nn.n_rows)[1]),
        row_deviations(step, row, nn.n_rows),
        row_shares(size > _WIDE_MS, row, nn.n_rows),
        row_shares(size > _NARROW_MS, row, nn.n_rows),
        60000.0 / slowest,
        60000.0 / fastest,
    )


def distribution(nn: NnRows) -> Distribution:
    """Interquartile range, median absolute deviation and triangular index of NN.

    Returns
    -------
    Distribution
        Quartiles by Hazen's rule (as MATLAB); the MAD unscaled; the triangular index is the
        number of intervals over the highest bin of a histogram with bins of 1/128 s from 0.

    Notes
    -----
    Source: Task Force (1996); Hyndman and Fan (1996), Am Stat 50:361, definition 5.
    """
    count: Ints = np.bincount(nn.row, minlength=nn.n_rows)
    n = count.astype(np.float64)
    ordered = ordered_rows(nn.nn_ms, nn.row)
    low = row_quantiles(ordered, count, 0.25 * n - 0.5)
    high = row_quantiles(ordered, count, 0.75 * n - 0.5)
    median = row_quantiles(ordered, count, 0.5 * (n - 1.0))
    off = ordered_rows(np.abs(nn.nn_ms - median[nn.row]), nn.row)
    mad = row_quantiles(off, count, 0.5 * (n - 1.0))
    peak = _highest_bin(ordered, nn.row, nn.n_rows)
    return Distribution(high - low, mad, ratio(n, peak))


def _highest_bin(ordered: Floats, row: Ints, n_rows: int) -> Floats:
    """Most intervals of a row in one bin; 0 for an empty row."""
    bins = np.floor(ordered / _BIN_MS)
    new = np.ones(bins.size, np.bool_)
    new[1:] = (bins[1:] != bins[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(new)
    height = np.append(first[1:], bins.size) - first
    peak = np.zeros(n_rows)
    np.maximum.at(peak, row[first], height.astype(np.float64))
    return peak


def _extremes(nn: NnRows) -> tuple[Floats, Floats]:
    """Largest and smallest running median of 5 linked intervals of each row; NaN without one."""
    slowest, fastest = np.full(nn.n_rows, -np.inf), np.full(nn.n_rows, np.inf)
    if nn.nn_ms.size >= _MEDIAN_OF:
        middle = _medians_of_5(nn.nn_ms)
        whole = nn.linked[1:-3] & nn.linked[2:-2] & nn.linked[3:-1] & nn.linked[4:]
        row, middle = nn.row[2:-2][whole], middle[whole]
        if middle.size:
            count = np.bincount(row, minlength=nn.n_rows)
            start, filled = starts_of(count), count > 0
            slowest[filled] = np.maximum.reduceat(middle, start[filled])
            fastest[filled] = np.minimum.reduceat(middle, start[filled])
    slowest[np.isinf(slowest)] = fastest[np.isinf(fastest)] = np.nan
    return slowest, fastest


def _medians_of_5(x: Floats) -> Floats:
    """Median of each value and the two on either side, (n - 4,)."""
    a, b, c, d, e = x[:-4], x[1:-3], x[2:-2], x[3:-1], x[4:]
    # The larger of two pairs' minima and the smaller of their maxima: one of them, or the fifth
    # value if it lies between, is in the middle.
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e))


def rates_bpm(nn_ms: Floats, row: Ints, n_rows: int) -> Floats:
    """60000 / mean interval per row; NaN where there is none."""
    n = np.bincount(row, minlength=n_rows)
    return ratio(60000.0 * n.astype(np.float64), sums(nn_ms, n))
