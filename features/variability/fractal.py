"""Detrended fluctuation analysis: how fluctuations grow with the time looked at."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability import loops
from features.variability.poincare import LEAST_SPREAD_MS
from features.variability.rows import Floats, Ints, NnRows, row_means, runs_of, sums

SHORT_BOXES: Final = tuple(range(4, 17))  # intervals per box: alpha 1
LONG_BOXES: Final = tuple(range(16, 65))  # alpha 2
LONG_SHORTEST_S: Final = 900.0  # alpha 2 needs a quarter of an hour


class Fluctuations(NamedTuple):
    """Sums over the boxes of each size; both can be added up over stretches of a recording."""

    squares: Floats  # (n_rows, n_sizes) squared distances to the straight line of each box, ms²
    points: Floats  # (n_rows, n_sizes) intervals in boxes


def fluctuations(nn: NnRows, boxes: tuple[int, ...]) -> Fluctuations:
    """Squared residuals around straight lines in boxes of the summed intervals.

    Parameters
    ----------
    nn : NnRows
        Intervals of all rows.
    boxes : tuple of int
        Intervals per box.

    Returns
    -------
    Fluctuations
        Boxes follow each other from the start of each gap-free run; what does not fill a box is
        left out. Subtracting another mean than the row's would change nothing: a constant adds
        a straight line.

    Notes
    -----
    Source: Peng et al. (1995), Chaos 5:82. F² is the mean over all boxes, not of boxes' F.
    """
    squares = np.zeros((nn.n_rows, len(boxes)))
    points = np.zeros((nn.n_rows, len(boxes)))
    profile = _profile(nn)
    start, length = runs_of(nn.linked)
    for k, size in enumerate(boxes):
        n_boxes = length // size
        first = np.repeat(start, n_boxes)
        order = np.arange(first.size) - np.repeat(np.cumsum(n_boxes) - n_boxes, n_boxes)
        first += order * size
        row = nn.row[first]
        per_row = np.bincount(row, minlength=nn.n_rows)
        squares[:, k] = sums(_residuals(profile, first, size), per_row)
        points[:, k] = size * per_row
    return Fluctuations(squares, points)


def exponent(found: Fluctuations, boxes: tuple[int, ...]) -> Floats:
    """Slope of ln F against ln box size, (n_rows,); NaN if a size has no box or no spread."""
    variance = np.zeros(found.points.shape)
    np.divide(found.squares, found.points, out=variance, where=found.points > 0)
    rough = (variance > LEAST_SPREAD_MS**2).all(axis=1)
    log_f = 0.5 * np.log(np.where(np.expand_dims(rough, 1), variance, 1.0))
    log_n = np.log(np.array(boxes, np.float64))
    weight = log_n - log_n.mean()
    weight /= (weight**2).sum()
    slope = np.ascontiguousarray(log_f * weight).sum(axis=1)
    return np.where(rough, slope, np.nan)


def dfa(nn: NnRows, boxes: tuple[int, ...]) -> Floats:
    """Scaling exponent of each row over these box sizes, (n_rows,); NaN where undefined.

    Notes
    -----
    Source: Peng et al. (1995), Chaos 5:82: every integer box size.
    Checked against: ``tests/features/variability/test_fractal.py`` (white noise, its sum).
    """
    return exponent(fluctuations(nn, boxes), boxes)


def _profile(nn: NnRows) -> Floats:
    """Running sum of each row's deviations from its mean."""
    _, mean = row_means(nn.nn_ms, nn.row, nn.n_rows)
    profile = nn.nn_ms - mean[nn.row]
    for part in np.split(profile, np.flatnonzero(np.diff(nn.row)) + 1):
        np.cumsum(part, out=part)  # row by row: one sum over all would round by what is before
    return profile


def _residuals(profile: Floats, first: Ints, size: int) -> Floats:
    """Squared distance of each box to its straight line."""
    along = np.arange(size, dtype=np.float64) - (size - 1) / 2.0
    if (found := loops.residuals(profile, first, along)) is not None:
        return found
    level = profile[first]
    total, tilt, squares = np.zeros(first.size), np.zeros(first.size), np.zeros(first.size)
    for j in range(size):
        y = profile[first + j] - level  # from its first, so that little is lost to rounding
        total += y
        tilt += along[j] * y
        squares += y * y
    around = squares - total * total / size - tilt * tilt / float((along**2).sum())
    return np.maximum(around, 0.0)
