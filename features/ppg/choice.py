"""Which rises are pulses: the sequence that best fits amplitude, rhythm and the two detectors.

Decided for the whole stretch at once by dynamic programming, so that a weak pulse is found where
the rhythm leaves a hole (search-back), a dicrotic wave is not counted where it leaves none, and
one artefact does not upset what follows. The rhythm is a weak witness on purpose: intervals from
half to one and a half times the usual are all alike, as in atrial fibrillation.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.ecg import kernels
from features.ppg.flat import row_quantile
from features.ppg.rises import Rises
from features.runs import Bools, Floats, Ints

# 0.3 s, as usual, would halve a rate above 200 per minute.
REFRACTORY_S: Final = 0.22
# Log-odds found by random search on BIDMC and the 2015 challenge's pulse waves. Searched on one
# half of the records and tested on the other, F1 on BIDMC is 99.22 %, as with these.
_LEAST_HEIGHT: Final = 0.06  # of the usual height: below it nothing is a pulse
_LEAST_UNSEEN: Final = 0.1  # for one that not both detectors see
# The swing of a breath, or of the filter in a pause: slow, small, and not seen by both detectors.
_LEAST_SWING: Final = 0.15
_SWING_PER_S: Final = 9.0  # heights; a pulse climbs 8 to 15
_LEAST_CREEP: Final = 0.3  # one that climbs as slowly as this is none, whoever sees it
_CREEP_PER_S: Final = 5.0
_NO_CREEP_PER_S: Final = 6.5  # between the two, less is asked the faster it climbs
_ABOVE_NOISE: Final = 3.5  # deviations of white noise: its rises in the band stay below,
_MOST_FOR_NOISE: Final = 0.3  # but no more than this share of the usual height is asked
_FOR_A_RISE: Final = 2.0
_PER_HALVING: Final = 0.4  # of height, below the usual one
_BY_SLOPE: Final = 0.5  # for the upslope detector's vote, against without
_BY_AREA: Final = 0.25
_LONG_FROM: Final = 1.4  # usual intervals
_LONG_COST: Final = 3.5  # per usual interval beyond
_LONGEST_COST: Final = (
    2.6  # a pause costs no more: it may be real, and less than a pulse seen well gains
)
_SHORT_FROM: Final = 0.75
_SHORT_COST: Final = 8.5
# A dicrotic wave is smaller than its pulse and starts high on it: an early rise as high as the one
# before, from as low, is a beat.
_LIKE_FROM: Final = 0.8  # of the height of the one before, or of the usual one if that is less
_LIKE_RANGE: Final = 0.15
_LOW_RANGE: Final = 0.15  # of the height of the one before
_MOST_EXCUSE: Final = 0.7  # of the cost of being early
_HIGH_FROM: Final = 0.26  # onset above the onset before, in heights of the pulse before
_HIGH_COST: Final = 2.0  # a dicrotic wave starts high on its pulse
_START_COST: Final = 0.5
_REACH: Final = 8  # candidates back among which the pulse before is sought
_USUAL: Final = 0.6  # quantile of heights that is the usual one
_LARGE: Final = 0.35  # of the usual height: such pulses tell the rhythm
_NEVER: Final = 1e9
# As the compiled form takes them.
_TERMS: Final = (
    *(_LONG_COST, _LONG_FROM, _LONGEST_COST, _LIKE_FROM, _LIKE_RANGE, _LOW_RANGE),
    *(_SHORT_COST, _MOST_EXCUSE, _SHORT_FROM, _HIGH_COST, _HIGH_FROM),
    *(REFRACTORY_S, _START_COST, _NEVER, _REACH),
)


class _Table(NamedTuple):
    """Candidates as `(most per row, rows)`, rows with most candidates first."""

    time_s: Floats
    height: Floats  # in usual heights of the row, as is the next
    level: Floats
    gain: Floats  # log-odds of each by itself
    at: tuple[Ints, Ints]  # where each candidate is
    active: list[int]  # rows that have a candidate of each number
    per_row: Ints  # candidates
    usual_s: Floats  # interval, per row


def choose(rises: Rises, position_s: Floats, noise: Floats) -> Ints:
    """Indices of the rises that are pulses, ascending.

    Parameters
    ----------
    rises : Rises
        Candidates.
    position_s : (n,) float64
        Their times.
    noise : (B,) float64
        Standard deviation of each row's noise, in the unit of the heights.

    Returns
    -------
    (n_pulses,) int
        Empty for rows with fewer than two candidates that could tell height and rhythm.
    """
    height, usual_s = _usual(rises, position_s, noise.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = rises.height / height[rises.row]
        least = np.clip(_ABOVE_NOISE * noise / height, _LEAST_HEIGHT, _MOST_FOR_NOISE)[rises.row]
        possible = (share >= np.maximum(least, _doubt(rises))) & (usual_s[rises.row] > 0)
    index = np.flatnonzero(possible)
    if index.size == 0:
        return index
    gain = _FOR_A_RISE + _PER_HALVING * np.minimum(np.log2(share[index]), 0.0)
    gain += np.where(rises.by_slope[index], _BY_SLOPE, -_BY_SLOPE)
    gain += np.where(rises.by_area[index], _BY_AREA, -_BY_AREA)
    level = rises.level[index] / height[rises.row[index]]
    values = position_s[index], share[index], level, gain
    return index[_on_best_path(rises.row[index], values, usual_s)]


def _on_best_path(row: Ints, values: tuple[Floats, ...], usual_s: Floats) -> Bools:
    """Whether each candidate is on its row's best path."""
    if not kernels.worth_it(usual_s.size):
        return _best(_table(row, values, usual_s))
    taken = np.zeros(row.size, np.bool_)
    borders = np.searchsorted(row, np.arange(usual_s.size + 1))
    _compiled().best_paths(borders, values, usual_s, _TERMS, taken)
    return taken


@lru_cache(maxsize=1)
def _compiled() -> ModuleType:
    return import_module("features.ppg.compiled")


def _doubt(rises: Rises) -> Floats:
    """Share of the usual height that each rise must have for want of votes."""
    both = rises.by_slope & rises.by_area
    least = np.where(both, 0.0, _LEAST_UNSEEN)
    swing = (rises.climb < _SWING_PER_S) & ~both
    slow = (_SWING_PER_S - rises.climb[swing]) / (_SWING_PER_S - _CREEP_PER_S)
    least[swing] = _LEAST_SWING + (_LEAST_CREEP - _LEAST_SWING) * np.minimum(slow, 1.0)
    creep = (_NO_CREEP_PER_S - rises.climb) / (_NO_CREEP_PER_S - _CREEP_PER_S)
    return np.maximum(least, _LEAST_CREEP * np.clip(creep, 0.0, 1.0))


def _usual(rises: Rises, position_s: Floats, n_rows: int) -> tuple[Floats, Floats]:
    """Height and interval that are usual in each row; NaN where nothing tells."""
    sure = rises.by_slope & rises.by_area
    few = np.bincount(rises.row[sure], minlength=n_rows) < 2
    sure |= few[rises.row]
    index = np.flatnonzero(sure)
    row, height = rises.row[index], rises.height[index]
    usual = row_quantile(height, row, n_rows, _USUAL)
    large = height > _LARGE * usual[row]
    row, time_s = row[large], position_s[index[large]]
    same = row[1:] == row[:-1]
    return usual, row_quantile(np.diff(time_s)[same], row[1:][same], n_rows, 0.5)


def _table(row: Ints, values: tuple[Floats, ...], usual_s: Floats) -> _Table:
    """Lay the possible candidates out in columns."""
    n_rows = usual_s.size
    count = np.bincount(row, minlength=n_rows)
    order = np.argsort(-count, kind="stable")
    column = np.empty(n_rows, np.intp)
    column[order] = np.arange(n_rows)
    at = np.arange(row.size) - (np.cumsum(count) - count)[row], column[row]
    shape = int(count.max()), n_rows
    columns = [np.zeros(shape) for _ in range(4)]
    for empty, value in zip(columns, values, strict=True):
        empty[at] = value
    # A row has a candidate of number j if it has more than j: the first rows are those.
    active = np.searchsorted(-count[order], -np.arange(shape[0]), side="left").tolist()
    return _Table._make((*columns, at, active, count[order], usual_s[order]))


def _best(table: _Table) -> Bools:
    """Whether each candidate is on its row's best path."""
    n_rows = table.usual_s.size
    shape = table.gain.shape
    score, before = np.full(shape, -_NEVER), np.full(shape, -1, np.intp)
    # Best end so far among candidates out of reach: what follows it follows a pause.
    far, far_at = np.zeros(n_rows), np.full(n_rows, -1, np.intp)
    column = np.arange(n_rows)
    for j, n in enumerate(table.active):
        first = max(0, j - _REACH)
        if j > _REACH:
            left = score[first - 1, :n] - _LONGEST_COST
            better = left > far[:n]
            far_at[:n] = np.where(better, first - 1, far_at[:n])
            far[:n] = np.where(better, left, far[:n])
        best, best_at = far[:n] - _START_COST, far_at[:n]
        if j:
            near = score[first:j, :n] - _cost(table, first, j, n)
            nearest = near.argmax(axis=0)
            from_near = near[nearest, column[:n]]
            better = from_near > best
            best = np.where(better, from_near, best)
            best_at = np.where(better, nearest + first, best_at)
        score[j, :n] = best + table.gain[j, :n]
        before[j, :n] = best_at
    return _traced(table, score, before)


def _cost(table: _Table, first: int, j: int, n: int) -> Floats:
    """Log-odds against candidate j following each of `first` to j - 1; (j - first, n)."""
    apart_s = table.time_s[j, :n] - table.time_s[first:j, :n]
    share = apart_s / table.usual_s[:n]
    cost = _LONG_COST * (share - _LONG_FROM)
    np.minimum(np.maximum(cost, 0.0, out=cost), _LONGEST_COST, out=cost)
    above = (table.level[j, :n] - table.level[first:j, :n]) / table.height[first:j, :n]
    like = table.height[j, :n] / np.minimum(table.height[first:j, :n], 1.0)
    excuse = np.clip((like - _LIKE_FROM) / _LIKE_RANGE, 0.0, 1.0)
    excuse *= 1.0 - np.clip(above / _LOW_RANGE, 0.0, 1.0)
    cost += _SHORT_COST * (1.0 - _MOST_EXCUSE * excuse) * np.maximum(_SHORT_FROM - share, 0.0)
    cost += np.where(share < 1.0, _HIGH_COST * np.clip(above - _HIGH_FROM, 0.0, 1.0), 0.0)
    cost[apart_s < REFRACTORY_S] = _NEVER
    return cost


def _traced(table: _Table, score: Floats, before: Ints) -> Bools:
    """Follow the best path of every row back from its end."""
    taken = np.zeros(score.shape, np.bool_)
    at, column = score.argmax(axis=0), np.arange(score.shape[1])
    going = (table.per_row > 0) & (score[at, column] > 0)
    at, column = at[going], column[going]
    while at.size:
        taken[at, column] = True
        at = before[at, column]
        at, column = at[at >= 0], column[at >= 0]
    return np.asarray(taken[table.at], np.bool_)
