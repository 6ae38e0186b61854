"""From beats to NN intervals: which neighbours belong together and which are artefacts.

Not here: finding beats (`features.beats`), measures of variability (`features.hrv`). The batched
forms take the intervals of many patients in one flat array plus the row of each: nothing is
padded, so the numbers of a row cannot depend on its neighbours in the batch.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# 300/min and 10/min: wide on purpose, so that neither tachycardia nor the slow heart of a dying
# patient is hidden. Missed and extra beats are told by their neighbours, not by these limits.
SHORTEST_NN_MS: Final = 200.0
LONGEST_NN_MS: Final = 6000.0
_NEIGHBOURS: Final = 11  # intervals, as the running median of Lipponen and Tarvainen
_STRETCH: Final = 100  # intervals whose spread tells a rhythm from artefacts
_FEWEST_NEIGHBOURS: Final = 5  # fewer say nothing about the rhythm
_SPREADS: Final = 5.2  # quartile deviations: 99.95 % of a normal distribution
_SHARE_OF_MEDIAN: Final = 0.2  # a very regular rhythm still varies with breathing


class Kind(IntEnum):
    """What an interval is. Only `NORMAL` is an NN interval."""

    NORMAL = 0
    ECTOPIC = 1  # one of a short-long pair: a premature beat and its pause
    MISSED = 2  # about twice its neighbours: a beat was not found
    EXTRA = 3  # with its neighbour as long as one: a beat too many
    LONG_SHORT = 4  # out of rhythm or of the limits otherwise


class NnSeries(NamedTuple):
    """Intervals between beats, in time order; all arrays of shape (n_intervals,).

    `joined[i]`: interval i begins with the beat that ends interval i - 1. Differences exist only
    between two joined, valid intervals.
    """

    nn_ms: Floats
    times_s: Floats  # of the beat that ends the interval
    valid: Bools  # NORMAL
    kind: NDArray[np.uint8]  # Kind
    joined: Bools


def nn_from_beats(beat_times_s: Floats, run: NDArray[np.integer] | None = None) -> NnSeries:
    """NN intervals of one recording, artefacts flagged.

    Parameters
    ----------
    beat_times_s : (n_beats,) float64
        Ascending times of the beats; a time that is not finite marks a gap.
    run : (n_beats,) int, optional
        Gap-free run of each beat. No interval joins beats of different runs.

    Returns
    -------
    NnSeries
        At most n_beats - 1 intervals; empty for fewer than two beats.

    Raises
    ------
    ValueError
        If `beat_times_s` is not one-dimensional or `run` has another shape.

    Notes
    -----
    Intervals outside 200-6000 ms are `LONG_SHORT`; the others are judged by `classify`.
    Checked against: ``tests/features/test_intervals.py``.

    Examples
    --------
    >>> nn_from_beats(np.array([0.0, 0.8, 1.6, 2.5])).nn_ms.round(6).tolist()
    [800.0, 800.0, 900.0]
    """
    times = np.asarray(beat_times_s, np.float64)
    runs = np.zeros(times.shape, np.int64) if run is None else np.asarray(run)
    if times.ndim != 1 or runs.shape != times.shape:
        raise ValueError(f"beat times and runs must be (n,), not {times.shape}, {runs.shape}")
    real = np.isfinite(times)
    together = real[1:] & real[:-1] & (runs[1:] == runs[:-1])
    nn_ms = np.full(max(times.size - 1, 0), np.nan)
    np.subtract(times[1:], times[:-1], out=nn_ms, where=together)
    joined = together.copy()
    joined[1:] &= together[:-1]
    joined[:1] = False
    kept = np.flatnonzero(together)
    nn_ms, joined = nn_ms[kept] * 1000.0, joined[kept]
    kind = classify(nn_ms, np.zeros(kept.size, np.int64), joined, 1)
    return NnSeries(nn_ms, times[kept + 1], kind == Kind.NORMAL, kind, joined)


def classify(nn_ms: Floats, row: Ints, joined: Bools, n_rows: int) -> NDArray[np.uint8]:
    """Tell artefacts from normal intervals by the rhythm around them.

    Parameters
    ----------
    nn_ms : (n,) float64
        Intervals of all rows, row after row, in time order.
    row : (n,) int
        Row of each interval, ascending, 0 to `n_rows` - 1.
    joined : (n,) bool
        The interval begins where the one before it in the same row ends.
    n_rows : int

    Returns
    -------
    (n,) uint8
        `Kind` of each interval.

    Notes
    -----
    With m the median of the 11 intervals around, d = NN - m, and Q3 - Q1 the quartile range of d
    over about a hundred intervals, an interval is out of rhythm when |d| exceeds
    T = max(0.2 m, 5.2 (Q3 - Q1) / 2). In an irregular rhythm (atrial fibrillation, bigeminy) T is
    wide and nothing is flagged. A short interval followed by a long one is ectopic; two short
    ones that together are within T of m are extra; a long one whose half is within T of m is
    missed. The thresholds follow Lipponen and Tarvainen (2019), J Med Eng Technol 43:173; their
    full decision tree is not this rule.
    """
    kind = np.zeros(nn_ms.size, np.uint8)
    if nn_ms.size == 0:
        return kind
    count = np.bincount(row, minlength=n_rows)
    median = _running_median(nn_ms, row, count)
    spread = _spread(nn_ms - median, row, count)
    limit = np.maximum(_SHARE_OF_MEDIAN * median, _SPREADS * spread / 2)
    judged = count[row] >= _FEWEST_NEIGHBOURS
    long = judged & (nn_ms - median > limit)
    short = judged & (median - nn_ms > limit)
    kind[long | short] = Kind.LONG_SHORT
    kind[long & (np.abs(nn_ms / 2 - median) < limit)] = Kind.MISSED
    pair = np.flatnonzero(joined[1:] & (row[1:] == row[:-1]))  # interval i and i + 1
    first, second = pair, pair + 1
    near_one = np.abs(nn_ms[first] + nn_ms[second] - median[first]) < limit[first]
    extra = short[first] & short[second] & near_one
    kind[first[extra]] = kind[second[extra]] = Kind.EXTRA
    ectopic = short[first] & long[second]
    kind[first[ectopic]] = kind[second[ectopic]] = Kind.ECTOPIC
    within = (nn_ms >= SHORTEST_NN_MS) & (nn_ms <= LONGEST_NN_MS)
    kind[~within] = Kind.LONG_SHORT
    return kind


def row_sums(values: Floats, row: Ints, n_rows: int) -> Floats:
    """Sum of the values of each row, (n_rows,) float64; 0 for a row without.

    Added one by one in order, so that no bit depends on the other rows.
    """
    return np.bincount(row, weights=values, minlength=n_rows).astype(np.float64, copy=False)


def _running_median(nn_ms: Floats, row: Ints, count: Ints) -> Floats:
    """Median of the 11 intervals around each, of the same row."""
    first = (np.cumsum(count) - count)[row]
    n_near = np.minimum(count[row], _NEIGHBOURS)
    at = np.arange(nn_ms.size)
    # At a row's ends the neighbourhood stops there and reaches further to the other side.
    start = np.clip(at - _NEIGHBOURS // 2, first, first + count[row] - n_near)
    offset = np.arange(_NEIGHBOURS)
    near = nn_ms[np.minimum(start[:, None] + offset, nn_ms.size - 1)]
    near[offset >= n_near[:, None]] = np.inf
    near.sort(axis=1)
    low = near[at, (n_near - 1) // 2]
    return np.asarray(low + (near[at, n_near // 2] - low) / 2, np.float64)


def _spread(deviation: Floats, row: Ints, count: Ints) -> Floats:
    """Quartile range of the deviations in the same stretch of the same row.

    A row is cut into stretches of 100, the last one up to 199: the rhythm of a day is not one.
    """
    order = np.arange(row.size) - (np.cumsum(count) - count)[row]
    n_stretches = np.maximum(count // _STRETCH, 1)
    stretch = (np.cumsum(n_stretches) - n_stretches)[row]
    stretch += np.minimum(order // _STRETCH, n_stretches[row] - 1)
    size = np.bincount(stretch, minlength=int(n_stretches.sum()))
    ordered = deviation[np.lexsort((deviation, stretch))]
    begin = np.cumsum(size) - size
    range_ms = _quantile(ordered, begin, size, 0.75) - _quantile(ordered, begin, size, 0.25)
    return np.asarray(range_ms[stretch], np.float64)


def _quantile(ordered: Floats, begin: Ints, size: Ints, share: float) -> Floats:
    """Linear quantile of each stretch of ordered values; of an empty one anything."""
    place = share * np.maximum(size - 1, 0)
    below = place.astype(np.int64)
    last = ordered.size - 1
    low = ordered[np.minimum(begin + below, last)]
    high = ordered[np.minimum(begin + np.minimum(below + 1, np.maximum(size - 1, 0)), last)]
    return np.asarray(low + (high - low) * (place - below), np.float64)
