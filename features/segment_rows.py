"""What windows share that are made of one small vector per 10 s segment.

A window of S segments is a dense `(B, S)` or `(B, S, K)` array, NaN where a segment is missing or
did not pass. Every reduction here runs along one row at a time, so no bit of a row depends on its
neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.column import Column
from features.feature import FeatureReason
from features.intervals import Floats
from features.lean import unknown

# Half of a window: the least that may speak for all of it.
LEAST_COVERAGE: Final = 0.5
# As numbers once: looking a member of an enumeration up costs as much as a column of one row.
_OK, _GAP, _UNDEFINED = (
    np.uint8(reason) for reason in (FeatureReason.OK, FeatureReason.GAP, FeatureReason.UNDEFINED)
)


def row_total(x: Floats) -> Floats:
    """Sum of each row of `(B, S)`, NaN as 0; (B,)."""
    filled: Floats = np.ascontiguousarray(np.where(np.isnan(x), 0.0, x))
    return np.asarray(filled.sum(axis=1), np.float64)


def row_mean(x: Floats) -> Floats:
    """Mean of what is known in each row of `(B, S)`; (B,), NaN for nothing."""
    return divided(row_total(x), (~np.isnan(x)).sum(axis=1).astype(np.float64))


def row_median(x: Floats) -> Floats:
    """Median of what is known in each row of `(B, S)`; (B,), NaN for nothing.

    Examples
    --------
    >>> row_median(np.array([[3.0, np.nan, 1.0, 2.0], [np.nan] * 4])).tolist()
    [2.0, nan]
    """
    if x.shape[1] == 0:
        return np.full(x.shape[0], np.nan)
    ordered = np.sort(x, axis=1)  # NaN last
    n = (~np.isnan(x)).sum(axis=1)
    at = np.arange(x.shape[0])
    low = ordered[at, np.maximum(n - 1, 0) // 2]
    high = ordered[at, np.minimum(n // 2, x.shape[1] - 1)]
    return np.asarray(np.where(n > 0, (low + high) / 2.0, np.nan), np.float64)


def row_extreme(x: Floats, *, largest: bool) -> Floats:
    """Largest or smallest of what is known in each row of `(B, S)`; NaN for nothing."""
    if x.shape[1] == 0:
        return np.full(x.shape[0], np.nan)
    reduce = np.fmax.reduce if largest else np.fmin.reduce
    return np.asarray(reduce(x, axis=1), np.float64)


def row_slope(t: Floats, y: Floats) -> Floats:
    """Ordinary least-squares slope of `(B, S)` values over times `(S,)` or `(B, S)`.

    Returns
    -------
    (B,) float64
        Unit of y per unit of t; NaN with fewer than two known values or a single time.

    Examples
    --------
    >>> row_slope(np.array([0.0, 1.0, 2.0]), np.array([[1.0, np.nan, 5.0]])).tolist()
    [2.0]
    """
    known = ~np.isnan(y)
    times = np.where(known, t, np.nan)
    t_off = times - row_mean(times)[:, None]
    y_off = y - row_mean(y)[:, None]
    return divided(row_total(t_off * y_off), row_total(t_off * t_off))


def divided(upper: Floats, lower: Floats) -> Floats:
    """Quotient; NaN where the divisor is not above 0."""
    alike = upper.shape == lower.shape
    out = unknown(upper.shape if alike else np.broadcast_shapes(upper.shape, lower.shape))
    np.divide(upper, lower, out=out, where=lower > 0)
    return out


def column(
    value: Floats,
    quality: Floats,
    coverage: Floats,
    n: NDArray[np.float64 | np.integer | np.bool_],
    least: float = LEAST_COVERAGE,
) -> Column:
    """A feature of B windows, with the reason where it has no value.

    Parameters
    ----------
    value : (B,) float64
        NaN where the formula has no answer.
    quality : (B,) float64
        0-1; NaN counts as 0.
    coverage : (B,) float64
        0-1, share of the window that was recorded and usable.
    n : (B,) number
        Samples, segments or events the value rests on.
    least : float
        Coverage that may speak for the window.

    Returns
    -------
    Column
        Below that coverage `GAP`; `UNDEFINED` where enough was recorded and the value is NaN
        all the same. The value is NaN exactly where the reason is not `OK`.
    """
    return columns({"": value}, quality, coverage, n, least)[""]


def columns(
    values: Mapping[str, Floats],
    quality: Floats,
    coverage: Floats,
    n: NDArray[np.float64 | np.integer | np.bool_],
    least: float = LEAST_COVERAGE,
) -> dict[str, Column]:
    """`column` of each of several values that rest on the same; what they share is shared."""
    enough = coverage >= least
    all_enough = bool(enough.all())
    good = np.fmin(np.fmax(quality, 0.0), 1.0)  # NaN becomes 0
    covered = np.fmin(np.fmax(coverage, 0.0), 1.0)
    many = np.asarray(n).astype(np.int64)
    made = {}
    for name, value in values.items():
        reason = np.where(np.isnan(value), _UNDEFINED, _OK)
        if not all_enough:
            reason = np.where(enough, reason, _GAP)
            value = np.where(enough, value, np.nan)
        made[name] = Column(value, good, covered, many, reason)
    return made
