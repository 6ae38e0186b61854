"""Loops over the intervals of many rows, compiled where numba is installed (`compiled`).

The same bits as the NumPy and SciPy beside which they stand; None says that these do it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.ecg import kernels
from features.variability.rows import Bools, Floats, Ints, NnRows, starts_of

_PER_ROW: Final = 60  # intervals in a usual minute: fewer are a small batch


@lru_cache(maxsize=1)
def _compiled() -> ModuleType:
    return import_module("features.variability.compiled")


def pairs_alike(
    values: Ints, start: Ints, count: Ints, tolerance: Ints, template: Bools
) -> Ints | None:
    """Pairs of templates alike over two and over three values, (2, rows).

    Parameters
    ----------
    values : (n,) int
        Below 2^53: compared exactly as floats.
    start, count, tolerance : (rows,) int
        Where the rows looked at begin, how long they are, how far apart is alike.
    template : (n,) bool
        What begins three values in a row.
    """
    if not kernels.worth_it(start.size):
        return None
    out = np.empty((2, start.size), np.int64)
    x, order = values.astype(np.float64), np.zeros(values.size, np.int64)
    for first, n in zip(start.tolist(), count.tolist(), strict=True):
        order[first : first + n] = np.argsort(x[first : first + n])
    _compiled().alike(x, (start, count, tolerance.astype(np.float64)), order, template, out)
    return out


def ranked(values: Floats, centre: Ints, rank: int, size: int) -> Floats | None:
    """Order statistic of `size` values around each centre, (n,); for large batches.

    Parameters
    ----------
    values : (m,) float64
        Finite; half of `size` of them on either side of every centre.
    centre : (n,) int
        Ascending.
    rank : int
        0 is the smallest.
    size : int
        Odd.
    """
    if not kernels.worth_it(centre.size // _PER_ROW):
        return None
    keys, out = np.empty(values.size, np.int64), np.empty(centre.size, np.int64)
    by = _compiled()
    by.ordered_keys(np.ascontiguousarray(values).view(np.int64), keys)
    by.ranked(keys, centre, rank, size, out)
    by.ordered_keys(out, out)  # its own inverse
    return out.view(np.float64)


def residuals(profile: Floats, first: Ints, along: Floats) -> Floats | None:
    """Squared distance of boxes of a profile to their straight lines, (boxes,).

    Parameters
    ----------
    profile : (n,) float64
    first : (boxes,) int
        Where each begins.
    along : (size,) float64
        Places in a box, from its middle.
    """
    if not kernels.worth_it(first.size // _PER_ROW):
        return None
    out = np.empty(first.size)
    _compiled().residuals(profile, first, (along, float((along**2).sum())), out)
    return out


def classified(
    nn_ms: Floats, row: Ints, joined: Bools, spec: tuple[object, ...]
) -> NDArray[np.uint8] | None:
    """`correction.classify` by a loop; `spec` are its constants."""
    if not kernels.worth_it(nn_ms.size // _PER_ROW):
        return None
    kind = np.zeros(nn_ms.size, np.uint8)
    _of_correction().classify(np.ascontiguousarray(nn_ms), row, joined, spec, kind)
    return kind


def corrected(
    nn_ms: Floats, row: Ints, joined: Bools, kind: NDArray[np.uint8], spec: tuple[object, ...]
) -> tuple[Floats, NDArray[np.uint8], Bools] | None:
    """`correction.correct` by a loop; `spec` are its constants."""
    n = nn_ms.size
    if not kernels.worth_it(n // _PER_ROW):
        return None
    out = np.empty(n), np.empty(n, np.uint8), np.empty(n, np.bool_)
    _of_correction().correct(np.ascontiguousarray(nn_ms), row, joined, kind, spec, out)
    return out


@lru_cache(maxsize=1)
def _of_correction() -> ModuleType:
    return import_module("features.variability.compiled_correction")


def time_domain(nn: NnRows, limits: tuple[float, float]) -> tuple[Ints, Floats] | None:
    """How many intervals each row has, and its measures, (9, rows); see `time_domain`."""
    if not kernels.worth_it(nn.nn_ms.size // _PER_ROW):
        return None
    borders, out = _borders(nn), np.empty((9, nn.n_rows))
    _walks().time_domain((nn.nn_ms, nn.linked, nn.stepped), borders, limits, out)
    return borders[1], out


def fragmentation(nn: NnRows, spec: tuple[int, int]) -> Floats | None:
    """PIP, IALS, PSS and PAS of each row, (4, rows); see `fragmentation`."""
    if not kernels.worth_it(nn.nn_ms.size // _PER_ROW):
        return None
    out = np.empty((4, nn.n_rows))
    _walks().fragmentation(nn.nn_ms, nn.stepped, _borders(nn), spec, out)
    return out


def capacities(nn: NnRows, spec: tuple[float, float, int]) -> Floats | None:
    """DC, AC and how many anchors each has, (4, rows); see `prsa`."""
    if not kernels.worth_it(nn.nn_ms.size // _PER_ROW):
        return None
    out = np.empty((4, nn.n_rows))
    _walks().capacities(nn.nn_ms, nn.stepped, _borders(nn), spec, out)
    return out


def _borders(nn: NnRows) -> tuple[Ints, Ints]:
    """Where each row begins, and how long it is."""
    count = np.bincount(nn.row, minlength=nn.n_rows)
    return starts_of(count), count


@lru_cache(maxsize=1)
def _walks() -> ModuleType:
    return import_module("features.variability.compiled_walk")


def warm_up() -> None:
    """Compile what is not compiled yet."""
    n = 100 * _PER_ROW
    values = np.arange(n) % 7
    ranked(values.astype(np.float64), np.arange(9, n - 9), 3, 9)
    start = np.arange(20) * _PER_ROW
    pairs_alike(values, start, np.full(20, _PER_ROW), np.full(20, 1), values > 1)
    residuals(values.astype(np.float64), np.arange(n - 9), np.arange(4.0))
