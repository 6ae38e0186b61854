"""Where a row of samples can be used: gaps, flat lines, gap-free runs.

Detectors never see a NaN: they are given runs, each filtered by itself, so a gap of any length
costs only what lies next to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

# No beat or breath hides in so short a hole: it is bridged by a straight line.
BRIDGED_GAP_S: Final = 0.02
# An unchanging value for this long is a disconnected or saturated input, not physiology.
FLAT_S: Final = 1.0
# Beyond any unit of any device; its square still fits a float64.
_LARGEST_SAMPLE: Final = 1e30


# No device samples faster; beyond it a rate is a mistake and its signal is not analysed.
MOST_FS_HZ: Final = 100_000.0


class Runs(NamedTuple):
    """Runs of equal length: `x[i]` is samples `start[i]:start[i] + n` of row `row[i]`."""

    row: Ints
    start: Ints
    x: Floats


def is_rate(fs_hz: float) -> bool:
    """Whether a number can be a sampling rate: above 0, at most 100 kHz, not NaN."""
    return 0.0 < fs_hz <= MOST_FS_HZ


def spans(mask: Bools) -> tuple[Ints, Ints, Ints]:
    """Row, start and stop (exclusive) of every run of True, in row order.

    Examples
    --------
    >>> [a.tolist() for a in spans(np.array([[False, True, True], [True, False, True]]))]
    [[0, 1, 1], [1, 0, 2], [3, 1, 3]]
    """
    n_rows, n = mask.shape
    edged = np.zeros((n_rows, n + 2), np.bool_)
    edged[:, 1:-1] = mask
    changes = np.flatnonzero(edged[:, 1:] != edged[:, :-1])
    starts, stops = changes[0::2], changes[1::2]
    row = starts // (n + 1)
    return row, starts - row * (n + 1), stops - row * (n + 1)


def fill(shape: tuple[int, int], row: Ints, start: Ints, stop: Ints) -> Bools:
    """The mask whose runs of True are given; the inverse of `spans`."""
    out = np.zeros(shape, np.bool_)
    length = stop - start
    before = np.cumsum(length) - length  # samples in the runs before each
    within = np.arange(int(length.sum())) - np.repeat(before, length)
    out.reshape(-1)[np.repeat(row * shape[1] + start, length) + within] = True
    return out


def counts(mask: Bools) -> Ints:
    """Number of True in each row; eight at a time, which is faster than adding them.

    Examples
    --------
    >>> counts(np.array([[True, False, True], [False, False, False]])).tolist()
    [2, 0]
    """
    bits = np.bitwise_count(np.packbits(mask, axis=1))
    return np.asarray(bits.sum(axis=1, dtype=np.intp), np.intp)


def as_rows(x: NDArray[np.generic]) -> Floats:
    """Any numeric array of one or two dimensions as `[B, n]` float64, not finite -> NaN.

    Raises
    ------
    ValueError
        If `x` has more than two dimensions or none.
    """
    array = np.asarray(x)
    if array.ndim not in (1, 2):
        raise ValueError(f"samples must have shape (n,) or (B, n), not {array.shape}")
    rows = np.array(np.atleast_2d(array), dtype=np.float64, order="C")
    with np.errstate(invalid="ignore"):
        within = (
            rows.max(initial=0.0) <= _LARGEST_SAMPLE and rows.min(initial=0.0) >= -_LARGEST_SAMPLE
        )
        if not within:  # or a NaN somewhere
            rows[~(np.abs(rows) <= _LARGEST_SAMPLE)] = np.nan
    return rows


def flat(x: Floats, fs_hz: float, shortest_s: float = FLAT_S) -> Bools:
    """Samples inside a stretch of one unchanging value at least `shortest_s` long."""
    shortest = max(2, round(shortest_s * fs_hz))
    if x.shape[1] < shortest:
        return np.zeros(x.shape, np.bool_)
    out = np.zeros(x.shape, np.bool_)
    # Of so long a stretch two samples half of it apart are equal: few rows have any.
    probes = x[:, :: shortest // 2]
    some = np.flatnonzero((probes[:, 1:] == probes[:, :-1]).any(axis=1))
    if some.size:
        near = x[some]
        row, start, stop = spans(near[:, 1:] == near[:, :-1])
        long = stop - start + 1 >= shortest
        out[some] = fill(near.shape, row[long], start[long], stop[long] + 1)
    return out


def bridge(x: Floats, fs_hz: float, longest_s: float = BRIDGED_GAP_S) -> Floats:
    """Copy of `x` with holes of at most `longest_s` between samples filled by straight lines."""
    out = x.copy()
    missing = np.isnan(x)
    if not missing.any():
        return out
    longest = max(1, int(longest_s * fs_hz))
    row, start, stop = spans(missing)
    small = (stop - start <= longest) & (start > 0) & (stop < x.shape[1])
    for r, a, b in zip(row[small], start[small], stop[small], strict=True):
        out[r, a:b] = np.interp(np.arange(a, b), (a - 1, b), (x[r, a - 1], x[r, b]))
    return out


def runs_of(x: Floats, usable: Bools, shortest: int) -> Iterator[Runs]:
    """The runs of usable samples, those of equal length together, shortest first."""
    if usable.all() and x.size:
        if x.shape[1] >= shortest:
            every = np.arange(len(x))
            yield Runs(every, np.zeros_like(every), np.ascontiguousarray(x))
        return
    row, start, stop = spans(usable)
    length = stop - start
    for n in np.unique(length[length >= max(shortest, 1)]):
        of_n = np.flatnonzero(length == n)
        first = start[of_n]
        block = x[row[of_n][:, None], first[:, None] + np.arange(n)]
        yield Runs(row[of_n], first, np.ascontiguousarray(block))


def on_a_rail(x: Floats, shortest: int) -> Bools:
    """Samples that stay at their row's extreme for at least `shortest` samples."""
    low = np.fmin.reduce(x, axis=1, keepdims=True, initial=np.inf)
    high = np.fmax.reduce(x, axis=1, keepdims=True, initial=-np.inf)
    out = np.zeros(x.shape, np.bool_)
    for rail in (low, high):
        there = (x == rail) & (low < high)
        often = np.flatnonzero(counts(there) >= shortest)  # few rows have a rail at all
        row, start, stop = spans(there[often])
        long = stop - start >= shortest
        out[often] |= fill((often.size, x.shape[1]), row[long], start[long], stop[long])
    return out
