"""Sample entropy: how rarely what looked alike twice goes on alike.

All pairs of templates are compared, 64 at a time: which intervals lie within the tolerance of
each is a row of bits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.variability.poincare import LEAST_SPREAD_MS
from features.variability.rows import Bools, Floats, Ints, NnRows, row_deviations, starts_of

_Words = NDArray[np.uint64]

TOLERANCE: Final = 0.2  # of SDNN
# Its cost grows with the square: an hour's beats at most. A day has no one entropy anyway.
MOST_INTERVALS: Final = 8192
_PER_MS: Final = 1e6  # intervals are compared as whole nanoseconds: exact, hence symmetric
_APART: Final = np.int64(1) << 40  # ns, more than any interval and its tolerance
_CHUNK_WORDS: Final = 1 << 16  # bits of so many rows stay in the processor's cache
_ONE: Final = np.uint64(1)
_TOP: Final = np.uint64(63)


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
    tolerance = np.floor(np.nan_to_num(spread) * TOLERANCE * _PER_MS).astype(np.int64)
    template = np.zeros(nn.nn_ms.size, np.bool_)
    template[:-2] = nn.linked[1:-1] & nn.linked[2:]
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
    n_words = alike.shape[2]
    valid = _bits(template, n_words)
    shifted = _shift(alike[:, 1:])
    two = alike[:, :-2] & shifted[:, :-1]
    two &= valid[:, None, :]
    own = template[:, :-2]
    n_two = np.bitwise_count(two).sum(axis=2, dtype=np.int64)
    two &= _shift(shifted[:, 1:])
    n_three = np.bitwise_count(two).sum(axis=2, dtype=np.int64)
    n_own = own.sum(axis=1)
    # Every template is like itself, and every pair is seen from both sides.
    both = ((n_two * own).sum(axis=1) - n_own) // 2
    third = ((n_three * own).sum(axis=1) - n_own) // 2
    return both, third


def _alike(x: Ints, tolerance: Ints) -> _Words:
    """`[B, n, W]` bits: j is set for i when they differ by at most the tolerance."""
    n_rows, n = x.shape
    n_words = n // 64 + 1
    order = np.argsort(x, axis=1)
    ordered = np.take_along_axis(x, order, axis=1)
    base = np.arange(n_rows)[:, None] * (4 * _APART)
    keys = (ordered + base).reshape(-1)
    above = np.searchsorted(keys, keys + np.repeat(tolerance, n), "right").reshape(n_rows, n)
    above -= np.arange(n_rows)[:, None] * n  # of the sorted values, the first beyond
    place = above + np.arange(n_rows)[:, None] * (n + 1)
    ends = np.bincount(place.reshape(-1), minlength=n_rows * (n + 1)).reshape(n_rows, n + 1)
    below = np.cumsum(ends, axis=1)[:, :n]  # of the sorted values, the first not before
    up_to = np.zeros((n_rows, n + 1, n_words), np.uint64)
    row, nth = np.arange(n_rows)[:, None], np.arange(1, n + 1)
    up_to[row, nth, order >> 6] = _ONE << (order & 63).astype(np.uint64)
    np.bitwise_or.accumulate(up_to, axis=1, out=up_to)
    alike = np.empty((n_rows, n, n_words), np.uint64)
    alike[row, order] = up_to[row, above] ^ up_to[row, below]
    return alike


def _bits(true: Bools, n_words: int) -> _Words:
    """`[B, n]` booleans as `[B, W]` words."""
    wide = np.zeros((true.shape[0], n_words * 64), np.bool_)
    wide[:, : true.shape[1]] = true
    return np.packbits(wide, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _shift(words: _Words) -> _Words:
    """Every bit one place down: bit j of the result is bit j + 1."""
    out = words >> _ONE
    out[..., :-1] |= words[..., 1:] << _TOP
    return out
