"""Sample entropy: how rarely what looked alike twice goes on alike.

All pairs of templates are compared, 64 at a time: which intervals lie within the tolerance of
each is a row of bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.lean import number_or
from features.variability import loops
from features.variability.poincare import LEAST_SPREAD_MS
from features.variability.rows import Bools, Floats, Ints, NnRows, row_deviations, starts_of

_Words = NDArray[np.uint64]

TOLERANCE: Final = 0.2  # of SDNN
# Its cost grows with the square: an hour's beats at most. A day has no one entropy anyway.
MOST_INTERVALS: Final = 8192
_PER_MS: Final = 1e6  # intervals are compared as whole nanoseconds: exact, hence symmetric
_APART: Final = np.int64(1) << 40  # ns, more than any interval and its tolerance
_CHUNK_WORDS: Final = 1 << 15  # bits of so many rows stay in the processor's cache
_ONE: Final = np.uint64(1)
_TOP: Final = np.uint64(63)
_ALL: Final = ~np.uint64(0)


def sample_entropy(nn: NnRows) -> Floats:
    """Sample entropy of each row, m = 2, r = 0.2 SDNN.

    Returns
    -------
    (n_rows,) float64
        -ln(A / B): B pairs of templates of two intervals within r (Chebyshev, <=), A those
        still within r at the third; the same templates for both, i < j, none across a gap. NaN
        where A or B is 0, SDNN is below 1 µs or the row has more than 8192 intervals.

    Notes
    -----
    Source: Richman and Moorman (2000), Am J Physiol Heart Circ Physiol 278:H2039.
    Checked against: ``tests/features/variability/test_entropy.py`` (all pairs one by one).
    """
    out = np.full(nn.n_rows, np.nan)
    count = np.bincount(nn.row, minlength=nn.n_rows)
    start = starts_of(count)
    spread = row_deviations(nn.nn_ms, nn.row, nn.n_rows)
    able = (spread > LEAST_SPREAD_MS) & (count >= 3) & (count <= MOST_INTERVALS)
    rows = np.flatnonzero(able)
    value = np.rint(nn.nn_ms * _PER_MS).astype(np.int64)
    tolerance = np.floor(number_or(spread) * TOLERANCE * _PER_MS).astype(np.int64)
    template = np.zeros(nn.nn_ms.size, np.bool_)
    template[:-2] = nn.linked[1:-1] & nn.linked[2:]
    found = loops.pairs_alike(value, start[rows], count[rows], tolerance[rows], template)
    if found is not None:
        seen = found[1] > 0
        out[rows[seen]] = np.log(found[0, seen] / found[1, seen])
        return out
    words = count[rows] * (-(-count[rows] // 64))
    group = np.cumsum(words) // _CHUNK_WORDS
    for chunk in np.split(rows, np.flatnonzero(np.diff(group)) + 1) if rows.size else ():
        padded = start[chunk, None] + np.arange(int(count[chunk].max()))
        real = padded < (start + count)[chunk, None]
        at = np.where(real, padded, 0)
        x = np.where(real, value[at], _APART)
        both, third = _matches(x, tolerance[chunk], template[at] & real)
        seen = third > 0  # then `both` is, too
        out[chunk[seen]] = np.log(both[seen] / third[seen])
    return out


def _matches(x: Ints, tolerance: Ints, template: Bools) -> tuple[Ints, Ints]:
    """Pairs of templates alike over two and over three intervals, of each row of `x`."""
    alike = _alike(x, tolerance)
    n_rows, n_words, _ = alike.shape
    next_alike = _down(alike)
    valid = _bits(template, n_words)[:, :, None]
    own = np.where(template[:, None, :-2], _ALL, np.uint64(0))
    two = alike[:, :, :-2] & next_alike[:, :, 1:-1]
    two &= valid
    two &= own
    n_two = np.bitwise_count(two).reshape(n_rows, -1).sum(axis=1, dtype=np.int64)
    two &= _down(next_alike)[:, :, 2:]
    n_three = np.bitwise_count(two).reshape(n_rows, -1).sum(axis=1, dtype=np.int64)
    # Every template is like itself, and every pair is seen from both sides.
    n_own = template[:, :-2].sum(axis=1)
    return (n_two - n_own) // 2, (n_three - n_own) // 2


def _alike(x: Ints, tolerance: Ints) -> _Words:
    """`[B, W, n]` words: bit j of those at i is set when i and j differ by the tolerance at most.

    In order of size, what is alike is one stretch: the bits of everything up to its end without
    those of everything before its start.
    """
    n_rows, n = x.shape
    n_words = n // 64 + 1
    order = np.argsort(x, axis=1)
    row = np.arange(n_rows)[:, None]
    keys = (np.take_along_axis(x, order, axis=1) + row * (4 * _APART)).reshape(-1)
    above = np.searchsorted(keys, keys + np.repeat(tolerance, n), "right").reshape(n_rows, n)
    ends = np.bincount((above + row).reshape(-1), minlength=n_rows * (n + 1))
    below = np.cumsum(ends.reshape(n_rows, n + 1), axis=1)[:, :n]
    above -= row * n
    up_to = np.zeros((n_rows, n_words, n + 1), np.uint64)
    up_to[row, order >> 6, np.arange(1, n + 1)] = _ONE << (order & 63).astype(np.uint64)
    np.bitwise_or.accumulate(up_to, axis=2, out=up_to)
    place = np.empty_like(order)
    place[row, order] = np.arange(n)
    above, below = np.take_along_axis(above, place, 1), np.take_along_axis(below, place, 1)
    alike = np.take_along_axis(up_to, above[:, None, :], axis=2)
    alike ^= np.take_along_axis(up_to, below[:, None, :], axis=2)
    return alike


def _bits(true: Bools, n_words: int) -> _Words:
    """`[B, n]` booleans as `[B, W]` words."""
    wide = np.zeros((true.shape[0], n_words * 64), np.bool_)
    wide[:, : true.shape[1]] = true
    return np.packbits(wide, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _down(words: _Words) -> _Words:
    """Every bit one place down: bit j of the result is bit j + 1."""
    out = words >> _ONE
    out[:, :-1] |= words[:, 1:] << _TOP
    return out
