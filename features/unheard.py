"""Stretches between gaps whose beats were missed, or taken for something else.

What a gap leaves may be short and hold little but an artefact, or nothing but noise. Each stretch
is looked at by itself, so only its neighbours tell: there a heart beats more often, or at another
size. Such a segment is refused rather than passed with a hole, or an artefact's beats, in it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.runs import Bools, Floats, Ints

_LEAST_SHARE: Final = 0.45  # of the beats expected: one in more than 2.2 intervals
_MOST_UNLIKE: Final = 5.0  # times the size of another run's beats
_FEWEST: Final = 3  # beats whose mean interval is a heart's: of two, all between may be missed
_UNKNOWN_RR_S: Final = 1.5  # where no run has two beats: 40/min


class RunBeats(NamedTuple):
    """Runs between gaps, of any rows in any order; (runs,) each."""

    row: Ints
    seconds: Floats
    n_beats: Ints
    rr_s: Floats  # mean interval between its beats; NaN with fewer than two
    size: Floats  # mean height of its beats; NaN without any


def unheard(runs: RunBeats, n_rows: int, alone: bool = False) -> Bools:
    """Rows broken by gaps of which a run has far fewer beats than its length holds, or other ones.

    Parameters
    ----------
    runs : RunBeats
    n_rows : int
    alone : bool
        Whether a row's only run is judged by the interval of its own beats: beats that fill less
        than half of it may be a burst's, and the others lost.

    Returns
    -------
    (n_rows,) bool
        The longest mean interval of a row's runs is its heart's: of those with three beats, if any
        has. Other rows of one run, and rows without any beat, are not judged: quality tells them.

    Examples
    --------
    >>> two = RunBeats(np.array([0, 0]), np.array([4.0, 3.0]), np.array([5, 0]),
    ...                np.array([0.8, np.nan]), np.array([1.0, np.nan]))
    >>> unheard(two, 1).tolist()
    [True]
    """
    usual_s = np.zeros(n_rows)
    for known in (runs.n_beats >= _FEWEST, runs.n_beats == _FEWEST - 1):
        known = known & ~np.isnan(runs.rr_s) & (usual_s[runs.row] == 0)
        np.maximum.at(usual_s, runs.row[known], runs.rr_s[known])
    usual_s[usual_s == 0] = _UNKNOWN_RR_S
    expected = runs.seconds / usual_s[runs.row]
    few = (expected >= 1) & (runs.n_beats < _LEAST_SHARE * expected)
    missed = np.bincount(runs.row, weights=few, minlength=n_rows) > 0
    broken = np.bincount(runs.row, minlength=n_rows) > (0 if alone else 1)
    beats = np.bincount(runs.row, weights=runs.n_beats, minlength=n_rows) > 0
    return np.asarray((missed & beats & broken) | _unlike(runs, n_rows), np.bool_)


def _unlike(runs: RunBeats, n_rows: int) -> Bools:
    """Rows whose runs have beats of quite another size."""
    least, most = np.full(n_rows, np.inf), np.zeros(n_rows)
    known = ~np.isnan(runs.size)
    np.minimum.at(least, runs.row[known], runs.size[known])
    np.maximum.at(most, runs.row[known], runs.size[known])
    return np.asarray(most > _MOST_UNLIKE * least, np.bool_)


def run_beats(row: Ints, seconds: float, beats: tuple[Ints, Floats, Floats]) -> RunBeats:
    """Runs of equal length and their beats.

    Parameters
    ----------
    row : (runs,) int
    seconds : float
    beats : run, ascending, time in seconds, ascending within a run, and height of each
    """
    of, at_s, height = beats
    n_beats = np.bincount(of, minlength=row.size)
    same = of[1:] == of[:-1]
    total_s = np.bincount(of[1:][same], np.diff(at_s)[same], row.size)
    rr_s = np.where(n_beats > 1, total_s / np.maximum(n_beats - 1, 1), np.nan)
    size = np.bincount(of, height, row.size) / np.maximum(n_beats, 1)
    size = np.where(n_beats > 0, size, np.nan)
    return RunBeats(row, np.full(row.size, seconds), n_beats, rr_s, size)


def joined(parts: list[RunBeats]) -> RunBeats:
    """Runs of several parts."""
    nothing = np.empty(0, np.intp)
    none = np.empty(0)
    parts = [RunBeats(nothing, none, nothing, none, none), *parts]
    return RunBeats(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
