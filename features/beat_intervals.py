"""Beats of many windows become intervals, judged and corrected.

Not here: where the beats come from (`features.beat_windows`), the rules for what is normal
(`features.variability.correction`), what is measured (`features.hrv_windows`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.ecg import kernels
from features.variability.correction import Corrected, Kind, classify, correct, within_limits
from features.variability.rows import Bools, Floats, Ints

_ROW_US: Final = 1 << 44  # more than any window: keeps rows apart on one time axis
_PER_ROW: Final = 60  # beats in a usual minute: fewer are a small batch


class Beats(NamedTuple):
    """Beats of all rows, row after row, from up to 45 before the window; one value per beat."""

    row: Ints
    times_us: Ints  # from the window's start, ascending within a row
    run: Ints  # gap-free run
    ectopic: Bools  # known by its shape to be no sinus beat


class Intervals(NamedTuple):
    """Intervals between adjacent beats of all rows, row after row; one value per interval."""

    row: Ints
    end_us: Ints  # from the window's start
    nn_ms: Floats
    joined: Bools
    kind: NDArray[np.uint8]
    corrected: Corrected


def intervals_between(beats: Beats, length_us: Ints) -> Intervals:
    """Intervals of each window, judged and corrected: those that end in [0, `length_us`)."""
    return inside(intervals_with_context(beats, length_us))


def intervals_with_context(beats: Beats, length_us: Ints) -> Intervals:
    """Intervals of each window and of the context before it, judged and corrected.

    Parameters
    ----------
    beats : Beats
        What does not ascend within a row is dropped: a later claim on a past time cannot be
        from one clock.
    length_us : (B,) int64
        Length of each window.

    Returns
    -------
    Intervals
        Those that end before `length_us`. An interval exists only between beats of one run.

    Notes
    -----
    45 beats before the window, and its first intervals are judged as surely as the others.
    Checked against: ``tests/features/test_beat_intervals.py``.
    """
    later = rising(beats.times_us, beats.row)
    if not later.all():
        row, times_us, run, ectopic = beats
        beats = Beats(row[later], times_us[later], run[later], ectopic[later])
    if kernels.worth_it(length_us.size):
        row, end_us, nn_ms, joined, by_shape = _looped(beats, length_us)
        return judged(row, end_us, nn_ms, (joined, length_us.size), by_shape)
    exists = (beats.row[1:] == beats.row[:-1]) & (beats.run[1:] == beats.run[:-1])
    exists &= beats.times_us[1:] < length_us[beats.row[1:]]
    joined = exists.copy()
    joined[1:] &= exists[:-1]
    joined[:1] = False
    at = np.flatnonzero(exists)
    row, end_us, joined = beats.row[at + 1], beats.times_us[at + 1], joined[at]
    nn_ms = (end_us - beats.times_us[at]) / 1000.0
    by_shape = (beats.ectopic[1:] | beats.ectopic[:-1])[at]
    return judged(row, end_us, nn_ms, (joined, length_us.size), by_shape)


def _looped(beats: Beats, length_us: Ints) -> tuple[Ints, Ints, Floats, Bools, Bools]:
    """Rows, ends, lengths, which are joined and which begin or end with an ectopic beat."""
    most = max(beats.row.size - 1, 0)
    places, flags = np.empty((2, most), np.int64), np.empty((2, most), np.bool_)
    nn_ms = np.empty(most)
    n = loops().between(beats, length_us, tuple(places), nn_ms, tuple(flags))
    return places[0, :n], places[1, :n], nn_ms[:n], flags[0, :n], flags[1, :n]


@lru_cache(maxsize=1)
def loops() -> ModuleType:
    """Compiled loops; only where numba is installed."""
    return import_module("features.beat_loops")


def judged(
    row: Ints,
    end_us: Ints,
    nn_ms: Floats,
    rhythm: tuple[Bools, int],
    by_shape: Bools | None = None,
) -> Intervals:
    """Intervals with their kinds, and corrected.

    Parameters
    ----------
    row, end_us, nn_ms : (n,)
        As `Intervals`.
    rhythm : (n,) bool and int
        Which intervals begin where the one before ends; how many rows there are.
    by_shape : (n,) bool, optional
        Intervals that begin or end with a beat known to be ectopic by its shape.
    """
    joined, n_rows = rhythm
    kind = classify(nn_ms, row, joined, n_rows)
    if by_shape is not None:
        kind[by_shape & within_limits(nn_ms)] = Kind.ECTOPIC
    return Intervals(row, end_us, nn_ms, joined, kind, correct(nn_ms, row, joined, kind))


def inside(intervals: Intervals) -> Intervals:
    """Without the context: the intervals that end in the window itself."""
    kept = intervals.end_us >= 0
    if kept.all():
        return intervals
    joined = intervals.joined.copy()
    joined[1:] &= kept[:-1]
    clean_ms, parts, measured = intervals.corrected
    corrected = Corrected(clean_ms[kept], parts[kept], measured[kept])
    row, end_us, nn_ms, _, kind, _ = intervals
    return Intervals(row[kept], end_us[kept], nn_ms[kept], joined[kept], kind[kept], corrected)


def rising(times_us: Ints, row: Ints) -> Bools:
    """Events later than all before them in their row."""
    if kernels.worth_it(row.size // _PER_ROW):
        later = np.empty(row.size, np.bool_)
        loops().rising(times_us, row, _ROW_US // 4, later)
        return later
    along = np.clip(times_us, -_ROW_US // 4, _ROW_US // 4) + row * _ROW_US
    later = np.ones(along.size, np.bool_)
    later[1:] = along[1:] > np.maximum.accumulate(along)[:-1]
    return later
