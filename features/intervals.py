"""From beats to intervals: which neighbours belong together, which are artefacts.

Not here: finding beats (`features.beats`), the rules for artefacts
(`features.variability.correction`), measures of variability (`features.hrv`). Batched forms take
the intervals of many patients in one flat array plus the row of each (`features.variability.rows`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.variability.correction import (
    LONGEST_NN_MS as LONGEST_NN_MS,
)
from features.variability.correction import (
    SHORTEST_NN_MS as SHORTEST_NN_MS,
)
from features.variability.correction import (
    Kind as Kind,
)
from features.variability.correction import (
    classify as classify,
)
from features.variability.correction import correct, within_limits
from features.variability.rows import Bools as Bools
from features.variability.rows import Floats as Floats
from features.variability.rows import Ints as Ints
from features.variability.rows import row_sums as row_sums

_LONGEST_DEVICE_MS: Final = 65_535.0  # what a 16-bit field holds when it knows nothing
# Less than any missing interval, more than a device's clock and its radio disagree by.
_LOOSE_CLOCK_MS: Final = 180.0
_FURTHEST_S: Final = 4e12  # 126,000 years: beyond it a time is no time of a beat


class NnSeries(NamedTuple):
    """Intervals between beats, in time order; all arrays of shape (n_intervals,).

    `joined[i]`: interval i begins with the beat that ends interval i - 1. Differences exist only
    between two joined intervals. Without the last three fields only valid intervals are used,
    as they are.
    """

    nn_ms: Floats
    times_s: Floats  # of the beat that ends the interval
    valid: Bools  # NORMAL
    kind: NDArray[np.uint8]  # Kind
    joined: Bools
    clean_ms: Floats | None = None  # as `features.variability.correction.Corrected`
    parts: NDArray[np.uint8] | None = None
    measured: Bools | None = None


def nn_from_beats(
    beat_times_s: Floats,
    run: NDArray[np.integer] | None = None,
    ectopic: Bools | None = None,
) -> NnSeries:
    """Intervals of one recording, artefacts flagged and corrected.

    Parameters
    ----------
    beat_times_s : (n_beats,) float64
        Ascending times of the beats; a time that is not finite, or beyond 4e12, marks a gap.
    run : (n_beats,) int, optional
        Gap-free run of each beat. No interval joins beats of different runs.
    ectopic : (n_beats,) bool, optional
        Beats a detector knows by their shape to be no sinus beats: the intervals on both sides
        are `ECTOPIC` whatever their length.

    Returns
    -------
    NnSeries
        At most n_beats - 1 intervals; empty for fewer than two beats.

    Raises
    ------
    ValueError
        If `beat_times_s` is not one-dimensional or another array has another shape.

    Notes
    -----
    Intervals outside 200-6000 ms are `LONG_SHORT`; the others are judged by
    `features.variability.correction.classify`. Intervals are rounded to a nanosecond, so that
    a constant rhythm is constant in binary too. A beat earlier than one before it is not believed:
    the intervals on both sides are `LONG_SHORT` and joined to none.
    Checked against: ``tests/features/test_intervals.py``.

    Examples
    --------
    >>> nn_from_beats(np.array([0.0, 0.8, 1.6, 2.5])).nn_ms.tolist()
    [800.0, 800.0, 900.0]
    """
    times = np.asarray(beat_times_s, np.float64)
    runs = np.zeros(times.shape, np.int64) if run is None else np.asarray(run)
    shape_known = np.zeros(times.shape, np.bool_) if ectopic is None else np.asarray(ectopic)
    if times.ndim != 1 or runs.shape != times.shape or shape_known.shape != times.shape:
        raise ValueError(
            f"beat times, runs and ectopic must be (n,), not {times.shape}, {runs.shape}, "
            f"{shape_known.shape}"
        )
    real = np.abs(times) <= _FURTHEST_S
    latest = np.maximum.accumulate(np.where(real, times, -np.inf))
    astray = real & (times < latest)
    together = real[1:] & real[:-1] & (runs[1:] == runs[:-1])
    nn_ms = np.full(max(times.size - 1, 0), np.nan)
    np.subtract(times[1:], times[:-1], out=nn_ms, where=together)
    lost = astray[1:] | astray[:-1]
    sound = together & ~lost
    joined = sound.copy()
    joined[1:] &= sound[:-1]
    joined[:1] = False
    kept = np.flatnonzero(together)
    by_shape = (shape_known[1:] | shape_known[:-1])[kept]
    nn_ms = np.round(nn_ms[kept] * 1000.0, 6)
    return _series(nn_ms, times[kept + 1], joined[kept], by_shape, lost[kept])


def nn_from_intervals(
    rr_ms: Floats, times_us: Ints | None = None, quantum_ms: float = 0.0
) -> NnSeries:
    """Intervals a device worked out itself: RR of a chest strap, IBI of a wristband.

    Parameters
    ----------
    rr_ms : (n,) float64
        Intervals in ms. What is not finite, not above 0, or 65535 and more is a gap.
    times_us : (n,) int64, optional
        Time of the beat that ends each interval, ascending. Without, intervals follow each other
        from 0 and a gap takes no time.
    quantum_ms : float
        Step of the device's clock; times may disagree by that much more.

    Returns
    -------
    NnSeries
        Only real intervals; two are joined when they follow each other, nothing was dropped
        between them, and their times say so too (to 180 ms plus two steps). An interval whose
        time does not ascend is dropped as well.

    Raises
    ------
    ValueError
        If the arrays are not one-dimensional and of one length.

    Notes
    -----
    The clock's steps themselves are allowed for in the features
    (`features.variability.quantum`), not here.
    Checked against: ``tests/features/test_intervals.py``.

    Examples
    --------
    >>> nn_from_intervals(np.array([800.0, 0.0, 810.0, 805.0])).joined.tolist()
    [False, False, True]
    """
    rr = np.asarray(rr_ms, np.float64)
    times = None if times_us is None else np.asarray(times_us, np.int64)
    if rr.ndim != 1 or (times is not None and times.shape != rr.shape):
        raise ValueError(f"intervals and times must be (n,), not {rr.shape} and another")
    real = np.isfinite(rr) & (rr > 0) & (rr < _LONGEST_DEVICE_MS)
    if times is not None:
        latest = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], times[:-1]]))
        real &= times > latest[: times.size]
    at = np.flatnonzero(real)
    joined = np.diff(at, prepend=-2) == 1
    nn_ms = np.round(rr[at], 6)
    if times is None:
        times_s = np.cumsum(nn_ms) / 1000.0
    else:
        hole_ms = np.diff(times[at], prepend=0) / 1000.0 - nn_ms
        joined &= np.abs(hole_ms) <= _LOOSE_CLOCK_MS + 2.0 * quantum_ms
        times_s = times[at] / 1e6
    joined[:1] = False
    nothing = np.zeros(at.size, np.bool_)
    return _series(nn_ms, times_s, joined, nothing, nothing)


def _series(nn_ms: Floats, times_s: Floats, joined: Bools, ectopic: Bools, lost: Bools) -> NnSeries:
    """Intervals of one recording, judged and corrected."""
    row = np.zeros(nn_ms.size, np.int64)
    kind = classify(nn_ms, row, joined, 1)
    kind[ectopic & within_limits(nn_ms)] = Kind.ECTOPIC
    kind[lost] = Kind.LONG_SHORT
    corrected = correct(nn_ms, row, joined, kind)
    return NnSeries(nn_ms, times_s, kind == Kind.NORMAL, kind, joined, *corrected)
