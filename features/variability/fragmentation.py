"""How often the heart changes between slowing and speeding up."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability import loops
from features.variability.rows import Bools, Floats, Ints, NnRows, ratio, runs_of, sums

_SHORT_SEGMENT: Final = 3  # intervals; a shorter monotone segment is fragmentation
_ALTERNATIONS: Final = 2  # changes of sign in a row: four intervals, three differences


class Fragmentation(NamedTuple):
    """(n_rows,) each; NaN for a row without differences."""

    pip_pct: Floats
    ials: Floats
    pss_pct: Floats
    pas_pct: Floats


def fragmentation(nn: NnRows) -> Fragmentation:
    """Inflection points, inverse segment length, short and alternating segments.

    Returns
    -------
    Fragmentation
        PIP: percentage of pairs of adjacent differences with product <= 0. A segment is a
        maximal run of differences of one sign, its length their number (each stands for the
        interval it ends with). IALS: 1 / mean length. PSS: percentage of the intervals in
        segments that lie in ones shorter than 3. PAS: percentage of all differences that lie in
        runs whose sign alternates over at least four intervals.

    Notes
    -----
    Source: Costa, Davis and Goldberger (2017), Front Physiol 8:255.
    Checked against: ``tests/features/variability/test_fragmentation.py``.
    """
    by_loop = loops.fragmentation(nn, (_SHORT_SEGMENT, _ALTERNATIONS))
    if by_loop is not None:
        return Fragmentation(*by_loop)
    at = np.flatnonzero(nn.stepped)
    step, row = nn.nn_ms[at] - nn.nn_ms[at - 1], nn.row[at]
    next_to = np.zeros(at.size, np.bool_)
    next_to[1:] = np.diff(at) == 1
    turn = np.zeros(at.size)
    np.multiply(np.sign(step[1:]), np.sign(step[:-1]), out=turn[1:], where=next_to[1:])
    inflection = next_to & (turn <= 0)
    pip = 100.0 * ratio(_counts(inflection, row, nn.n_rows), _counts(next_to, row, nn.n_rows))
    start, length = runs_of(next_to & (turn > 0))
    segment = step[start] != 0
    start, length = start[segment], length[segment]
    within = _lengths(length, row[start], nn.n_rows)
    number = np.bincount(row[start], minlength=nn.n_rows).astype(np.float64)
    short = length < _SHORT_SEGMENT
    in_short = _lengths(length[short], row[start[short]], nn.n_rows)
    start, length = runs_of(next_to & (turn < 0))
    zigzag = length > _ALTERNATIONS
    in_zigzag = _lengths(length[zigzag], row[start[zigzag]], nn.n_rows)
    n_steps = np.bincount(row, minlength=nn.n_rows).astype(np.float64)
    return Fragmentation(
        pip,
        ratio(number, within),
        100.0 * ratio(in_short, within),
        100.0 * ratio(in_zigzag, n_steps),
    )


def _counts(true: Bools, row: Ints, n_rows: int) -> Floats:
    """Number of True per row, as float."""
    return np.bincount(row[true], minlength=n_rows).astype(np.float64)


def _lengths(length: Ints, row: Ints, n_rows: int) -> Floats:
    """Sum of the lengths per row."""
    return sums(length.astype(np.float64), np.bincount(row, minlength=n_rows))
