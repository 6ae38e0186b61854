"""Compiled forms of what SciPy does to many rows one by one; bit for bit the same.

Used for large batches where numba is installed. Eight rows are worked on at a time, so that one
instruction serves eight of them; every row's own operations keep their order and nothing is
reassociated (never `fastmath`). The reference is `features.ecg.candidates`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import signal

from features.runs import Bools, Floats, Ints

_LANES: Final = 8
_PLACES: Final = 256
_FEWEST_ROWS: Final = 16  # below it the first compilation is not worth its seconds
_WARM_UP_HZ: Final = 125.0


class Kernels(NamedTuple):
    """The compiled loops."""

    filtered: Callable[..., None]
    enveloped: Callable[..., None]
    margins: Callable[..., None]
    summits: Callable[..., None]
    layer: Callable[..., None]
    whole: Callable[..., None]


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
    return _installed() and (n_rows >= _FEWEST_ROWS or compiled.cache_info().currsize > 0)


def warm_up() -> bool:
    """Compile every loop now, not when the first batch comes; False where numba is absent.

    Takes some fifteen seconds the first time on a machine and one once numba has the loops on disk
    (`NUMBA_CACHE_DIR`). Afterwards batches of any size use them. Results are the same bits with
    and without.
    """
    if not _installed():
        return False
    from features.ecg.segment import analyse_ecg  # which imports this module

    compiled()
    t = np.arange(0, 14, 1 / _WARM_UP_HZ)
    beats = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2) + 0.01 * np.sin(7 * t)
    rows = np.tile(beats, (_FEWEST_ROWS + 1, 1))
    rows[1, 700:800] = np.nan  # runs that begin within a row
    rows[2, 900] = 40.0
    for size in (len(rows), 1):
        analyse_ecg(rows[:size], _WARM_UP_HZ)
    return True


def for_beats(n_rows: int) -> ModuleType | None:
    """The loops over beats (`features.ecg.compiled`) for a batch; None where NumPy does it."""
    return _loops_over_beats() if worth_it(n_rows) else None


@lru_cache(maxsize=1)
def _loops_over_beats() -> ModuleType:
    return import_module("features.ecg.compiled")


@lru_cache(maxsize=1)
def compiled() -> Kernels:
    """The loops, compiled at the first call and kept on disk by numba."""
    import numba

    jit = numba.njit(cache=True, nogil=True)
    return Kernels(
        jit(_filtered), jit(_enveloped), jit(_margins), jit(_summits), jit(_layer), jit(_whole)
    )


def zero_phase(sos: Floats, x: Floats, pad: int) -> Floats:
    """As `features.filters.zero_phase`, for a filter of one section."""
    out = np.empty(x.shape)
    state = signal.sosfilt_zi(sos)[0]
    compiled().filtered(np.ascontiguousarray(x), min(pad, x.shape[1] - 1), sos[0], state, out)
    return out


def envelope(wave: Floats, floor: Floats, width: int) -> tuple[Floats, Floats]:
    """Size of a wave, 0 at or below each row's floor, and its moving average; uses up `wave`."""
    out = np.empty(wave.shape)
    compiled().enveloped(wave, floor, width, out)
    return wave, out


def ratios(energy: Floats, limit: Floats, at: tuple[Ints, Ints], spec: RatioSpec) -> Floats:
    """Short over long average power before, at and after places; see the reference."""
    row, place = at
    out = np.empty((row.size, 3))
    widths = np.array([spec.short, spec.long], np.intp)
    compiled().margins(energy, limit, np.append(row, -1), place, (widths, spec[2:]), out)
    return out


def summits(x: Floats, reach: int, least: Floats) -> Bools:
    """Where a row is above `least` and nowhere higher within reach."""
    out = np.zeros(x.shape, np.bool_)
    compiled().summits(x, reach, least, out)
    return out


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


def _filtered(x: Any, pad: int, sos: Any, state: Any, out: Any) -> None:
    """One section forwards and backwards over rows continued by odd reflection."""
    n_rows, n = x.shape
    length = n + 2 * pad
    b0, b1, b2, a1, a2 = sos[0], sos[1], sos[2], sos[4], sos[5]
    buffer = np.zeros((length, _LANES))
    z0, z1 = np.zeros(_LANES), np.zeros(_LANES)
    for first in range(0, n_rows, _LANES):
        block = x[first : first + _LANES].T
        lanes = block.shape[1]
        buffer[pad : pad + n, :lanes] = block
        for i in range(pad):
            buffer[i, :lanes] = 2 * block[0] - block[pad - i]
            buffer[pad + n + i, :lanes] = 2 * block[n - 1] - block[n - 2 - i]
        for step in (1, -1):
            at = 0 if step == 1 else length - 1
            z0[:] = state[0] * buffer[at]
            z1[:] = state[1] * buffer[at]
            for _ in range(length):
                for lane in range(_LANES):
                    value = buffer[at, lane]
                    y = b0 * value + z0[lane]
                    z0[lane] = b1 * value - a1 * y + z1[lane]
                    z1[lane] = b2 * value - a2 * y
                    buffer[at, lane] = y
                at += step
        out[first : first + lanes] = buffer[pad : pad + n, :lanes].T


def _enveloped(wave: Any, floor: Any, width: int, out: Any) -> None:
    """Size above a floor, in place, and its running mean; ends are held.

    Differences are added, and sums divided, as SciPy's uniform filter does.
    """
    n_rows, n = wave.shape
    half = width // 2
    for r in range(n_rows):
        row = wave[r]
        for i in range(n):
            size = abs(row[i])
            row[i] = size if size > floor[r] else 0.0
        total = 0.0
        for i in range(width):
            total += row[min(max(i - half, 0), n - 1)]
        out[r, 0] = total / width
        for i in range(1, n):
            total += row[min(i + half, n - 1)] - row[max(i - half - 1, 0)]
            out[r, i] = total / width


def _margins(energy: Any, limit: Any, row: Any, place: Any, spec: Any, out: Any) -> None:
    """Short over long running means of clipped power at three samples of each place."""
    n = energy.shape[1]
    widths, (shoulder, offset) = spec
    power, means = np.empty(n), np.empty((2, n))
    k = 0
    for r in range(energy.shape[0]):
        if row[k] != r:
            continue
        whole = 0.0
        for i in range(n):
            size = min(energy[r, i], limit[r])
            power[i] = size * size
            whole += power[i]
        for j in range(2):
            half = widths[j] // 2
            total = 0.0
            for i in range(widths[j]):
                total += power[min(max(i - half, 0), n - 1)]
            means[j, 0] = total / widths[j]
            for i in range(1, n):
                total += power[min(i + half, n - 1)] - power[max(i - half - 1, 0)]
                means[j, i] = total / widths[j]
        while row[k] == r:
            for side in range(3):
                at = min(max(place[k] + (side - 1) * shoulder, 0), n - 1)
                bar = means[1, at] + offset * (whole / n)
                out[k, side] = means[0, at] / bar if bar > 0 else 0.0
            k += 1


def _summits(x: Any, reach: int, least: Any, out: Any) -> None:
    """Largest of their neighbourhood and above a bar."""
    n_rows, n = x.shape
    for r in range(n_rows):
        for i in range(n):
            value = x[r, i]
            if not value > least[r]:
                continue
            highest = True
            for k in range(1, reach + 1):
                if x[r, max(i - k, 0)] > value or x[r, min(i + k, n - 1)] > value:
                    highest = False
                    break
            out[r, i] = highest


def _layer(columns: Any, weight: Any, bias: Any, out: Any) -> None:
    """Weighted sums, a few hundred places at a time so that they stay in the cache."""
    n_in, n = columns.shape
    for first in range(0, n, _PLACES):
        last = min(first + _PLACES, n)
        for j in range(weight.shape[1]):
            mine = out[j, first:last]
            mine[:] = bias[j]
            for k in range(n_in):
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
