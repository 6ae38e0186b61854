"""Compiled forms of what SciPy does to many rows one by one; bit for bit the same.

Used for large batches where numba is installed, and for all once it is warm. Every row's own
operations keep their order and nothing is reassociated (never `fastmath`). The references are in
`features.ecg.candidates`, `second`, `quality` and `network`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from features.compiler import compiled as jit
from features.lanes import steady_state
from features.runs import Bools, Floats, Ints

_PLACES: Final = 256
_FEWEST_ROWS: Final = 16  # below it the first compilation is not worth its seconds
MOST_LINES: Final = 8  # of a bin: the first, and a sum of fewer than eight
MOST_ADDED: Final = 129  # rows: the first, and eight lanes of sixteen
_WARM_UP_HZ: Final = 125.0
# glibc keeps twice the largest block that was ever freed, up to 32 MiB; without one the arrays of
# every batch go back to the system and cost a third of the time to get again.
_KEPT_BYTES: Final = 31 << 20
_warm = False  # whether `compiled` was called


class Kernels(NamedTuple):
    """The compiled loops."""

    layer: Callable[..., None]
    whole: Callable[..., None]


class ViewSpec(NamedTuple):
    """How rows are looked at."""

    pad: int  # samples of reflection at each end
    width: int  # of the running mean, odd
    floor: Floats  # (B,) sizes at or below are 0


class RatioSpec(NamedTuple):
    """How short and long averages are compared."""

    short: int  # samples, odd
    long: int
    shoulder: int  # samples from the place to where it is compared as well
    offset: float  # of the row's mean power, added to the long average


@lru_cache(maxsize=1)
def _installed() -> bool:
    """Whether numba is there; it is not imported to find out."""
    return find_spec("numba") is not None


def worth_it(n_rows: int) -> bool:
    """Whether numba is installed, and a batch large enough or the loops compiled already."""
    return _installed() and (_warm or n_rows >= _FEWEST_ROWS)


def warm_up() -> bool:
    """Compile every loop now, not when the first batch comes; False where numba is absent.

    Takes a minute the first time on a machine, and two seconds once numba has them on disk
    (`NUMBA_CACHE_DIR`). Afterwards batches of any size use them. Results are the same bits with
    and without.
    """
    if not _installed():
        return False
    from features.ecg.segment import analyse_ecg  # which imports this module
    from features.ppg.segment import analyse_ppg  # likewise
    from features.practice import practise
    from features.variability import loops

    compiled()
    loops.warm_up()
    t = np.arange(0, 14, 1 / _WARM_UP_HZ)
    beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2) + 0.01 * np.sin(7 * t)
    rows = np.tile(beats, (_FEWEST_ROWS + 1, 1))
    rows[1, 700:800] = np.nan  # runs that begin within a row
    rows[2, 900] = 40.0
    for size in (len(rows), 1):
        analyse_ecg(rows[:size], _WARM_UP_HZ)
        analyse_ppg(rows[:size], _WARM_UP_HZ)
    practise()
    np.empty(_KEPT_BYTES, np.uint8)
    return True


def for_beats(n_rows: int) -> ModuleType | None:
    """The loops over beats (`features.ecg.compiled`) for a batch; None where NumPy does it."""
    return _loops_over_beats() if worth_it(n_rows) else None


@lru_cache(maxsize=1)
def _loops_over_beats() -> ModuleType:
    return import_module("features.ecg.compiled")


@lru_cache(maxsize=1)
def _over_rows() -> ModuleType:
    return import_module("features.ecg.compiled_rows")


@lru_cache(maxsize=1)
def _over_looks() -> ModuleType:
    return import_module("features.ecg.compiled_looks")


def for_looks(n_rows: int) -> ModuleType | None:
    """The loops over what looks see (`features.ecg.compiled_looks`), likewise."""
    return _over_looks() if worth_it(n_rows) else None


@lru_cache(maxsize=1)
def _over_shapes() -> ModuleType:
    return import_module("features.ecg.compiled_shapes")


def for_shapes(n_rows: int) -> ModuleType | None:
    """The loops over beats next to others (`features.ecg.compiled_shapes`), likewise."""
    return _over_shapes() if worth_it(n_rows) else None


@lru_cache(maxsize=1)
def over_beats() -> ModuleType:
    """The loops over where beats lie (`features.ecg.compiled_beats`)."""
    return import_module("features.ecg.compiled_beats")


def block_maxima(x: Floats, width: int, whole: int) -> Floats:
    """Highest of each of `whole` stretches of rows, in ascending order; (B, whole)."""
    out = np.empty((len(x), whole))
    over_beats().block_maxima(np.ascontiguousarray(x), width, out)
    return out


@lru_cache(maxsize=1)
def over_pulse_waves() -> ModuleType:
    """The loops over pulse waves (`features.ppg.compiled_rows`)."""
    return import_module("features.ppg.compiled_rows")


@lru_cache(maxsize=1)
def over_lines() -> ModuleType:
    """The loops around a transform (`features.spectral_loops`)."""
    return import_module("features.spectral_loops")


@lru_cache(maxsize=1)
def compiled() -> Kernels:
    """The loops, compiled at the first call and kept on disk by numba."""
    global _warm
    _warm = True
    return Kernels(jit(_layer), jit(_whole))


def view(x: Floats, shape: Floats, beat: Floats, spec: ViewSpec) -> tuple[Floats, Floats, Floats]:
    """Wave in the band of shapes; size and its running mean in the band of beats."""
    out = np.empty((3, *x.shape))
    pad = min(spec.pad, x.shape[1] - 1)
    bands = [(sos[0], steady_state(sos)[0]) for sos in (shape, beat)]
    rows = np.ascontiguousarray(x)
    _over_rows().view(rows, *bands, (pad, spec.width, spec.floor), (out[0], out[1], out[2]))
    return out[0], out[1], out[2]


def moments(wave: Floats) -> Floats:
    """Mean square and mean fourth power of rows less their mean; (2, B)."""
    out = np.empty((2, len(wave)))
    _over_rows().fourth(wave, out)
    return out


def around(x: Floats, at: tuple[Ints, Ints], reach: int) -> Floats:
    """Sums of each row's samples around its places, at most `MOST_ADDED` of them; (B, points)."""
    out = np.zeros((len(x), 2 * reach + 1))
    _over_rows().mean_beats(x, *at, reach, out)
    return out


def found(
    x: Floats,
    bands: tuple[Floats, Floats],
    spec: tuple[Any, ...],
    out: tuple[Floats, Floats, Bools],
) -> tuple[Ints, Floats]:
    """Candidates of rows: row, excursion and summit; height and three ratios."""
    both = tuple((sos[0], steady_state(sos)[0]) for sos in bands)
    spec = (*spec[:-1], (tuple(spec[-1][0]), spec[-1][1]))
    places, values = _finder().found(np.ascontiguousarray(x), both, spec, out)
    return places, values


def steepest(slow: Floats, spec: tuple[Any, ...]) -> tuple[Ints, Ints, Floats, Floats]:
    """Row, sample and energy of the slope's summits, and the level of each row."""
    levels = np.empty(len(slow))
    places, sizes = _finder().steepest(np.ascontiguousarray(slow), spec, levels)
    return places[0], places[1], sizes, levels


@lru_cache(maxsize=1)
def _finder() -> ModuleType:
    return import_module("features.ecg.compiled_find")


def ratios(energy: Floats, limit: Floats, at: tuple[Ints, Ints], spec: RatioSpec) -> Floats:
    """Short over long average power before, at and after places; see the reference."""
    out = np.empty((at[0].size, 3))
    _over_rows().margins(np.ascontiguousarray(energy), limit, at, (spec[:2], spec[2:]), out)
    return out


def summits(x: Floats, reach: int, least: Floats) -> tuple[Ints, Ints]:
    """Row and sample where a row is above `least` and nowhere higher within reach."""
    row, at = _over_rows().summits(x, reach, least)
    return row, at


def layer(columns: Floats, weight: Floats, bias: Floats) -> Floats:
    """Weighted sums of columns plus a bias, (outputs, n), added in the columns' order."""
    out = np.empty((weight.shape[1], columns.shape[1]))
    compiled().layer(np.ascontiguousarray(columns), weight, bias, out)
    return out


def whole(x: Floats, flat: int, rail: int) -> Bools:
    """Rows without NaN, without `flat` equal samples, and without `rail` at an extreme."""
    out = np.zeros(len(x), np.bool_)
    compiled().whole(np.ascontiguousarray(x), flat, rail, out)
    return out


def _layer(columns: Any, weight: Any, bias: Any, out: Any) -> None:
    """Weighted sums, a few hundred places at a time so that they stay in the cache.

    Four inputs are added in one pass, one after the other: the same order with fewer stores.
    """
    n_in, n = columns.shape
    by_four = n_in - n_in % 4
    for first in range(0, n, _PLACES):
        last = min(first + _PLACES, n)
        for j in range(weight.shape[1]):
            mine = out[j, first:last]
            mine[:] = bias[j]
            for k in range(0, by_four, 4):
                w0, w1, w2, w3 = weight[k, j], weight[k + 1, j], weight[k + 2, j], weight[k + 3, j]
                a, b = columns[k, first:last], columns[k + 1, first:last]
                c, d = columns[k + 2, first:last], columns[k + 3, first:last]
                for i in range(last - first):
                    mine[i] = mine[i] + w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i]
            for k in range(by_four, n_in):
                w = weight[k, j]
                theirs = columns[k, first:last]
                for i in range(last - first):
                    mine[i] += w * theirs[i]


def _whole(x: Any, flat: Any, rail: Any, out: Any) -> None:
    """Whether nothing is wrong with a row.

    Of `rail` equal samples two neighbours lie at a multiple of `rail - 1`: only these are compared.
    """
    n_rows, n = x.shape
    step = max(min(flat, rail) - 1, 1)
    for r in range(n_rows):
        row = x[r]
        missing = 0
        for i in range(n):
            missing += row[i] != row[i]
        out[r] = missing == 0
        i = step
        while out[r] and i < n:
            if row[i] == row[i - 1]:
                first, last = i - 1, i
                while first > 0 and row[first - 1] == row[i]:
                    first -= 1
                while last < n - 1 and row[last + 1] == row[i]:
                    last += 1
                length = last - first + 1
                at_end = length >= rail and (row[i] == row.min() or row[i] == row.max())
                out[r] = length < flat and not at_end
                i = max(i, last - last % step)
            i += step
