"""Which intervals are artefacts, and what the rhythm would have been without them.

The decision tree of Lipponen and Tarvainen (2019), batched over rows. Not here: finding beats,
measures of variability.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from features.variability import loops
from features.variability.rows import (
    Bools,
    Floats,
    Ints,
    NnRows,
    row_means,
    runs_of,
    starts_of,
)

# 300/min and 10/min: wide on purpose, so that neither tachycardia nor the slow heart of a dying
# patient is hidden. Missed and extra beats are told by their neighbours, not by these limits.
SHORTEST_NN_MS: Final = 200.0
LONGEST_NN_MS: Final = 6000.0
_FEWEST_JUDGED: Final = 5  # fewer intervals say nothing about the rhythm
_NEAR: Final = 15  # intervals of the running median; with LT2019's 11, four extra beats lead it
_AROUND: Final = 91  # intervals that set the thresholds, LT2019
CONTEXT_BEATS: Final = _AROUND // 2
# 5.2 quartile deviations of |x| (LT2019) are 6.8 lower quartiles of |x| for normal x. The lower
# quartile is the last to notice artefacts (``benchmarks/bench_hrv.py``).
_QUARTILES: Final = 6.8
_RANK: Final = 22  # of the 91: the lower quartile
# A very regular rhythm still varies with breathing, and a device's clock has steps.
_SHARE_OF_MEDIAN: Final = 0.12
_C1: Final = 0.13  # LT2019, eq. 6
_C2: Final = 0.17
_FAR: Final = 3.0  # LT2019: thresholds off the running median
_OUT: Final = 1.0  # an artefact is out of rhythm itself
_FEWEST_GOOD: Final = 4  # intervals of a row from which others may be interpolated
_LONGEST_INTERPOLATED: Final = 5  # intervals in a row; more would be invention
# As the loops take them.
_TREE: Final = (
    (
        (_NEAR // 2, _NEAR),
        (_RANK, _AROUND),
        (_QUARTILES, _SHARE_OF_MEDIAN),
    ),
    (_C1, _C2, _FAR, _OUT, SHORTEST_NN_MS),
    _FEWEST_JUDGED,
    LONGEST_NN_MS,
)
_REPAIR: Final = (LONGEST_NN_MS, _LONGEST_INTERPOLATED, _FEWEST_GOOD)


class Kind(IntEnum):
    """What an interval is. Only `NORMAL` is an NN interval as it stands."""

    NORMAL = 0
    ECTOPIC = 1  # one of a short-long pair: a premature beat and its pause
    MISSED = 2  # about twice its neighbours: a beat was not found
    EXTRA = 3  # with its neighbour as long as one: a beat too many
    LONG_SHORT = 4  # out of rhythm or of the limits otherwise


class Corrected(NamedTuple):
    """What becomes of each interval, (n,) each."""

    clean_ms: Floats  # of each of its parts; NaN where nothing replaces it
    parts: NDArray[np.uint8]  # 2: split, 0: merged into the next one or dropped, else 1
    measured: Bools  # both its ends are beats that were found: normal, or merged


class _Surrounded(NamedTuple):
    """Rows with their reflections on both sides, end to end."""

    interval: Ints  # at each place
    centre: Ints  # place of each interval

    def rank(self, values: Floats, rank: int, size: int) -> Floats:
        """Order statistic of the values around each interval."""
        padded = values[self.interval]
        found = loops.ranked(padded, self.centre, rank, size)
        if found is None:
            found = np.asarray(ndimage.rank_filter(padded, rank, size)[self.centre])
        return found


def classify(nn_ms: Floats, row: Ints, joined: Bools, n_rows: int) -> NDArray[np.uint8]:
    """Tell artefacts from normal intervals by the rhythm around them.

    Parameters
    ----------
    nn_ms : (n,) float64
        Intervals of all rows, row after row, in time order, finite. Up to 45 intervals before
        the window make its first ones as sure as the others.
    row : (n,) int
        Row of each interval, ascending, 0 to `n_rows` - 1.
    joined : (n,) bool
        The interval begins where the one before it in the same row ends.
    n_rows : int

    Returns
    -------
    (n,) uint8
        `Kind` of each interval. Both intervals of an ectopic beat and of an extra beat are
        marked. Fewer than 5 intervals are judged by the limits 200-6000 ms only.

    Notes
    -----
    Steps d and deviations m from the median of 15 are measured in thresholds taken from the 91
    intervals around, reflected at the row's ends; then the decision tree of Lipponen and
    Tarvainen (2019), J Med Eng Technol 43:173. Deliberate differences. Thresholds are 6.8
    lower quartiles of |x|, at least 12 % of the running median, where the paper takes 5.2
    quartile deviations: the same for normal x, but those break down where a quarter of the
    steps are artefacts, which eight ectopic beats among 91 make. And an artefact must itself be
    a threshold off the median, while what is 3 off is one even without a step of its own.
    In atrial fibrillation thresholds are wide and little is flagged; bigeminy is a rhythm here,
    and only a detector that sees the shape of the beats can tell it.
    Checked against: ``tests/features/variability/test_correction.py``.
    """
    kind = np.zeros(nn_ms.size, np.uint8)
    if nn_ms.size == 0:
        return kind
    by_loop = loops.classified(nn_ms, row, joined, _TREE)
    if by_loop is not None:
        return by_loop
    joined = joined & (np.diff(row, prepend=-1) == 0)
    count = np.bincount(row, minlength=n_rows)
    around = _surround(count, row)
    step = _steps(nn_ms, row, joined, n_rows)
    median = around.rank(nn_ms, _NEAR // 2, _NEAR)
    deviation = nn_ms - median
    deviation = np.where(deviation < 0, 2.0 * deviation, deviation)
    limit = _threshold(around.rank(np.abs(deviation), _RANK, _AROUND), median)
    d = step / _threshold(around.rank(np.abs(step), _RANK, _AROUND), median)
    _decide(kind, d, deviation / limit, _Fit(nn_ms, median, limit, joined), around)
    kind[count[row] < _FEWEST_JUDGED] = Kind.NORMAL
    kind[~within_limits(nn_ms)] = Kind.LONG_SHORT
    return kind


def within_limits(nn_ms: Floats) -> Bools:
    """Whether each interval can be one between two heart beats."""
    return (nn_ms >= SHORTEST_NN_MS) & (nn_ms <= LONGEST_NN_MS)


def _threshold(typical: Floats, median: Floats) -> Floats:
    """How large a step or deviation still belongs to the rhythm, from a typical small one."""
    least = np.maximum(_SHARE_OF_MEDIAN * np.abs(median), 1e-6)
    return np.maximum(_QUARTILES * typical, least)


class _Fit(NamedTuple):
    """Intervals and the rhythm they are compared with."""

    nn_ms: Floats
    median: Floats
    limit: Floats
    joined: Bools


def _decide(kind: NDArray[np.uint8], d: Floats, m: Floats, fit: _Fit, around: _Surrounded) -> None:
    """The decision tree, written into `kind`; only what is out of rhythm is looked at."""
    out = np.flatnonzero(np.abs(m) > _OUT)
    padded, at = d[around.interval], around.centre[out]
    own, before, after, second = d[out], padded[at - 1], padded[at + 1], padded[at + 2]
    s12 = np.where(own > 0, np.maximum(before, after), np.minimum(before, after))
    s22 = np.where(own >= 0, np.minimum(after, second), np.maximum(after, second))
    ectopic = (own > 1) & (s12 < -_C1 * own - _C2)
    ectopic |= (own < -1) & (s12 > -_C1 * own + _C2)
    big, small = ~ectopic & (own > 1) & (s22 < -1), ~ectopic & (own < -1) & (s22 > 1)
    far = np.abs(m[out]) > _FAR
    kind[out[big | small | far | _alone(own, after, out, fit.joined)]] = Kind.LONG_SHORT
    # Two missed beats next to each other, or around one good interval, look like an ectopic
    # beat to the tree; but no interval before theirs is short.
    pause = ectopic & fit.joined[out] & (m[out - 1] < -_OUT)
    half = fit.nn_ms[out] / 2.0
    split = (big | (far & (m[out] > 0))) & ~pause & (half >= SHORTEST_NN_MS)
    split &= np.abs(half - fit.median[out]) < fit.limit[out]
    kind[out[split]] = Kind.MISSED
    following = np.minimum(out + 1, d.size - 1)
    goes_on = fit.joined[following] & (following > out)
    together = fit.nn_ms[out] + fit.nn_ms[following]
    fits = np.abs(together - fit.median[out]) < fit.limit[out]
    first = out[small & fits & goes_on]
    kind[first] = kind[first + 1] = Kind.EXTRA
    late = out[ectopic & ~split]
    kind[late] = Kind.ECTOPIC
    kind[late[fit.joined[late]] - 1] = Kind.ECTOPIC
    # A short and a long interval are a premature beat and its pause, however they were noticed.
    pair = goes_on & (m[out] < -_OUT) & (m[following] > _OUT)
    left = (kind == Kind.NORMAL) | (kind == Kind.LONG_SHORT)
    pair &= left[out] & left[following] & (kind[out] + kind[following] > 0)
    kind[out[pair]] = kind[following[pair]] = Kind.ECTOPIC


def _alone(own: Floats, after: Floats, out: Ints, joined: Bools) -> Bools:
    """Intervals at the end of a run that step away from their only neighbour."""
    goes_on = np.append(joined[1:], False)[out]
    last, first = joined[out] & ~goes_on, ~joined[out] & goes_on
    return np.asarray((last & (np.abs(own) > 1)) | (first & (np.abs(after) > 1)))


def correct(nn_ms: Floats, row: Ints, joined: Bools, kind: NDArray[np.uint8]) -> Corrected:
    """The NN intervals that should have been there.

    Parameters
    ----------
    nn_ms, row, joined
        As for `classify`.
    kind : (n,) uint8
        `Kind` of each interval.

    Returns
    -------
    Corrected
        A missed beat splits its interval in two halves, an extra beat merges its two into one;
        ectopic and long or short ones are interpolated over beat index from the good intervals
        next to them in the same gap-free run (at its ends held). Dropped instead: more than 5
        in a row, and all of them in a row with fewer than 4 good intervals.

    Notes
    -----
    Source: Lipponen and Tarvainen (2019), step 5; the limits are this project's.
    """
    clean, parts = nn_ms.copy(), np.ones(nn_ms.size, np.uint8)
    if nn_ms.size == 0:
        return Corrected(clean, parts, np.zeros(0, np.bool_))
    by_loop = loops.corrected(nn_ms, row, joined, kind, _REPAIR)
    if by_loop is not None:
        return Corrected(*by_loop)
    split = kind == Kind.MISSED
    clean[split] /= 2.0
    parts[split] = 2
    first = _first_of_pairs(kind == Kind.EXTRA, joined)
    merged_ms = nn_ms[first] + nn_ms[first + 1]
    first, merged_ms = first[merged_ms <= LONGEST_NN_MS], merged_ms[merged_ms <= LONGEST_NN_MS]
    clean[first + 1], parts[first] = merged_ms, 0
    measured = kind == Kind.NORMAL
    measured[first + 1] = True
    good = measured | split
    lost = np.flatnonzero(~good & (parts > 0))
    clean[lost] = _interpolated(clean, row, joined, good, lost)
    parts[np.isnan(clean)] = 0
    return Corrected(clean, parts, measured)


def corrected_rows(
    end_us: Ints, row: Ints, joined: Bools, corrected: Corrected, n_rows: int
) -> NnRows:
    """The corrected intervals as rows to be measured.

    Parameters
    ----------
    end_us : (n,) int64
        Time of the beat that ends each interval, before correction.
    row, joined
        As for `classify`.
    corrected : Corrected
        As from `correct`.
    n_rows : int

    Returns
    -------
    NnRows
        Linked over everything that was corrected, not over what was dropped. Differences are
        measured only between intervals whose beats were all found: the halves of a split one
        would differ too little, interpolated ones hardly at all.
    """
    at = np.repeat(np.arange(row.size), corrected.parts)
    gone = (corrected.parts == 0) & np.isnan(corrected.clean_ms)
    run = np.cumsum(~joined) + np.cumsum(gone)
    linked, measured = np.zeros(at.size, np.bool_), corrected.measured[at]
    linked[1:] = run[at[1:]] == run[at[:-1]]
    stepped = linked & measured
    stepped[1:] &= measured[:-1]
    nn_ms = corrected.clean_ms[at]
    ends = end_us[at]
    first = np.flatnonzero(at[1:] == at[:-1])  # of the two halves
    ends[first] -= np.rint(nn_ms[first] * 1000.0).astype(np.int64)
    return NnRows(nn_ms, row[at], linked, stepped, ends, n_rows)


def _interpolated(clean: Floats, row: Ints, joined: Bools, good: Bools, lost: Ints) -> Floats:
    """Values for the lost intervals by their good neighbours; NaN where there are none."""
    n = clean.size
    run = np.cumsum(~joined)
    left = np.maximum.accumulate(np.where(good, np.arange(n), -1))[lost]
    right = np.minimum.accumulate(np.where(good, np.arange(n), n)[::-1])[::-1][lost]
    has_left = (left >= 0) & (run[left] == run[lost])
    has_right = right < n
    right = np.minimum(right, n - 1)
    has_right &= run[right] == run[lost]
    left, right = np.where(has_left, left, right), np.where(has_right, right, left)
    share = (lost - left) / np.maximum(right - left, 1)
    value = clean[left] + (clean[right] - clean[left]) * np.clip(share, 0.0, 1.0)
    start, length = runs_of((np.diff(lost, prepend=-2) == 1) & joined[lost])
    long = np.repeat(length > _LONGEST_INTERPOLATED, length) if start.size else has_left
    few = np.bincount(row, weights=good)[row[lost]] < _FEWEST_GOOD
    return np.where((has_left | has_right) & ~long & ~few, value, np.nan)


def _first_of_pairs(marked: Bools, joined: Bools) -> Ints:
    """First intervals of the pairs in each run of marked ones: 1st and 2nd, 3rd and 4th..."""
    place = np.flatnonzero(marked)
    start, length = runs_of((np.diff(place, prepend=-2) == 1) & joined[place])
    order = np.arange(place.size) - np.repeat(start, length)
    paired = (order % 2 == 0) & (order + 1 < np.repeat(length, length))
    return np.asarray(place[paired], np.int64)


def _steps(nn_ms: Floats, row: Ints, joined: Bools, n_rows: int) -> Floats:
    """Differences to the interval before; the mean of the row's where there is none before."""
    step = np.zeros(nn_ms.size)
    np.subtract(nn_ms[1:], nn_ms[:-1], out=step[1:], where=joined[1:])
    _, mean = row_means(step[joined], row[joined], n_rows)
    step[~joined] = np.nan_to_num(mean)[row[~joined]]
    return step


def _surround(count: Ints, row: Ints) -> _Surrounded:
    """Each row with 45 places on either side, filled by reflection at its first and last."""
    long = count + 2 * CONTEXT_BEATS * (count > 0)
    place = np.arange(int(long.sum())) - np.repeat(starts_of(long), long) - CONTEXT_BEATS
    period = np.repeat(np.maximum(2 * (count - 1), 1), long)
    folded = np.abs(place)
    over = np.flatnonzero((place < 0) | (place >= np.repeat(count, long)))
    folded[over] %= period[over]
    folded[over] = np.minimum(folded[over], period[over] - folded[over])
    folded[np.repeat(count, long) == 1] = 0
    index = np.repeat(starts_of(count), long) + folded
    before = starts_of(long) - starts_of(count) + CONTEXT_BEATS
    return _Surrounded(index, np.arange(row.size) + before[row])
