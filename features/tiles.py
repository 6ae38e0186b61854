"""Rows side by side: what is done sample by sample to as many rows as one instruction serves.

A tile is `(samples, lanes)`, one row a lane, so that every step of a filter or of a running sum is
the same step of all its rows. Every row's own operations keep their order, never `fastmath`: the
bits are SciPy's. Imported only where numba is installed.
Not here: what is filtered and why (`features.ecg.compiled_rows`, `features.lanes`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.highest import blocks_of, highest_of

_EIGHT: Final = 8  # as NumPy adds
_LONGEST: Final = 128  # terms; longer sums are halved
_DEEPEST: Final = 40  # halves of halves
LANES: Final = 32  # rows of a tile: 14 s at 125 Hz are 450 kB, which the second cache holds


@compiled
def laid(rows: Any, first: Any, tile: Any, pad: Any) -> Any:
    """Rows from `first` on put into a tile, `pad` samples from its begin; how many there were.

    Four samples of four rows at a time: sixteen numbers turned within registers.
    """
    n = rows.shape[1]
    lanes = min(tile.shape[1], rows.shape[0] - first)
    whole, turned = lanes - lanes % 4, n - n % 4
    for lane in range(0, whole, 4):
        top = first + lane
        a, b, c, d = rows[top], rows[top + 1], rows[top + 2], rows[top + 3]
        for i in range(0, turned, 4):
            t = tile[pad + i : pad + i + 4, lane : lane + 4]
            u, v, w, x = a[i : i + 4], b[i : i + 4], c[i : i + 4], d[i : i + 4]
            u0, u1, u2, u3 = u[0], u[1], u[2], u[3]
            v0, v1, v2, v3 = v[0], v[1], v[2], v[3]
            w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
            x0, x1, x2, x3 = x[0], x[1], x[2], x[3]
            t[0, 0], t[0, 1], t[0, 2], t[0, 3] = u0, v0, w0, x0
            t[1, 0], t[1, 1], t[1, 2], t[1, 3] = u1, v1, w1, x1
            t[2, 0], t[2, 1], t[2, 2], t[2, 3] = u2, v2, w2, x2
            t[3, 0], t[3, 1], t[3, 2], t[3, 3] = u3, v3, w3, x3
    for lane in range(lanes):
        for i in range(turned if lane < whole else 0, n):
            tile[pad + i, lane] = rows[first + lane, i]
    return lanes


@compiled
def lifted(tile: Any, pad: Any, first: Any, lanes: Any, rows: Any) -> None:
    """The lanes of a tile put back into rows from `first` on, as `laid` took them."""
    n = rows.shape[1]
    whole, turned = lanes - lanes % 4, n - n % 4
    for lane in range(0, whole, 4):
        top = first + lane
        a, b, c, d = rows[top], rows[top + 1], rows[top + 2], rows[top + 3]
        for i in range(0, turned, 4):
            t = tile[pad + i : pad + i + 4, lane : lane + 4]
            u, v, w, x = a[i : i + 4], b[i : i + 4], c[i : i + 4], d[i : i + 4]
            u0, v0, w0, x0 = t[0, 0], t[0, 1], t[0, 2], t[0, 3]
            u1, v1, w1, x1 = t[1, 0], t[1, 1], t[1, 2], t[1, 3]
            u2, v2, w2, x2 = t[2, 0], t[2, 1], t[2, 2], t[2, 3]
            u3, v3, w3, x3 = t[3, 0], t[3, 1], t[3, 2], t[3, 3]
            u[0], u[1], u[2], u[3] = u0, u1, u2, u3
            v[0], v[1], v[2], v[3] = v0, v1, v2, v3
            w[0], w[1], w[2], w[3] = w0, w1, w2, w3
            x[0], x[1], x[2], x[3] = x0, x1, x2, x3
    for lane in range(lanes):
        for i in range(turned if lane < whole else 0, n):
            rows[first + lane, i] = tile[pad + i, lane]


@compiled
def continued(tile: Any, pad: Any) -> None:
    """Both ends of a tile continued over `pad` samples by odd reflection."""
    last = tile.shape[0] - 1 - pad
    for i in range(1, pad + 1):
        for lane in range(tile.shape[1]):
            tile[pad - i, lane] = 2 * tile[pad, lane] - tile[pad + i, lane]
            tile[last + i, lane] = 2 * tile[last, lane] - tile[last - i, lane]


@compiled
def swept(tile: Any, sos: Any, state: Any) -> None:
    """One section forwards and backwards over a tile, in place."""
    b0, b1, b2, a1, a2 = sos[0], sos[1], sos[2], sos[4], sos[5]
    length = tile.shape[0]
    z0, z1 = np.empty(tile.shape[1]), np.empty(tile.shape[1])
    for step in (1, -1):
        at = 0 if step == 1 else length - 1
        z0[:] = state[0] * tile[at]
        z1[:] = state[1] * tile[at]
        for _ in range(length):
            for lane in range(tile.shape[1]):
                value = tile[at, lane]
                y = b0 * value + z0[lane]
                z0[lane] = b1 * value - a1 * y + z1[lane]
                z1[lane] = b2 * value - a2 * y
                tile[at, lane] = y
            at += step


@compiled
def averaged(x: Any, width: Any, out: Any) -> None:
    """Running mean of a tile; ends are held.

    Differences are added, and sums divided, as SciPy's uniform filter does.
    """
    n = x.shape[0]
    half = width // 2
    sums = np.zeros(x.shape[1])
    for i in range(width):
        sums += x[min(max(i - half, 0), n - 1)]
    out[0] = sums / width
    for i in range(1, n):
        new, old = min(i + half, n - 1), max(i - half - 1, 0)
        for lane in range(x.shape[1]):
            sums[lane] += x[new, lane] - x[old, lane]
            out[i, lane] = sums[lane] / width


@compiled
def running(x: Any, width: Any, out: Any) -> None:
    """Running sums of a tile, `averaged` before it divides."""
    n = x.shape[0]
    half = width // 2
    sums = np.zeros(x.shape[1])
    for i in range(width):
        sums += x[min(max(i - half, 0), n - 1)]
    out[0] = sums
    for i in range(1, n):
        new, old = min(i + half, n - 1), max(i - half - 1, 0)
        for lane in range(x.shape[1]):
            sums[lane] += x[new, lane] - x[old, lane]
            out[i, lane] = sums[lane]


@compiled
def cascaded(tile: Any, sos: Any, state: Any) -> None:
    """Sections one after the other at each sample of a tile, forwards, then backwards, in place."""
    length, lanes = tile.shape
    n_sections = sos.shape[0]
    z0, z1 = np.empty((n_sections, lanes)), np.empty((n_sections, lanes))
    for step in (1, -1):
        at = 0 if step == 1 else length - 1
        for s in range(n_sections):
            z0[s] = state[s, 0] * tile[at]
            z1[s] = state[s, 1] * tile[at]
        for _ in range(length):
            for s in range(n_sections):
                b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
                for lane in range(lanes):
                    value = tile[at, lane]
                    y = b0 * value + z0[s, lane]
                    z0[s, lane] = b1 * value - a1 * y + z1[s, lane]
                    z1[s, lane] = b2 * value - a2 * y
                    tile[at, lane] = y
            at += step


@compiled
def filtered(x: Any, pad: Any, sos: Any, state: Any, out: Any) -> None:
    """Rows filtered forwards and backwards; see `features.filters.zero_phase`."""
    n_rows, n = x.shape
    tile = np.zeros((n + 2 * pad, min(LANES, n_rows)))
    for first in range(0, n_rows, LANES):
        lanes = laid(x, first, tile, pad)
        continued(tile, pad)
        cascaded(tile, sos, state)
        lifted(tile, pad, first, lanes, out)


@compiled
def summed(tile: Any, out: Any) -> None:
    """Sum of each lane of at most 128 samples, in the order in which NumPy adds a row: by eight."""
    n, lanes = tile.shape
    whole = n - n % _EIGHT
    out[:] = 0.0
    if whole:
        parts = np.empty((_EIGHT, lanes))
        for i in range(whole):
            part, row = parts[i % _EIGHT], tile[i]
            for lane in range(lanes):
                part[lane] = row[lane] if i < _EIGHT else part[lane] + row[lane]
        for lane in range(lanes):
            left = (parts[0, lane] + parts[1, lane]) + (parts[2, lane] + parts[3, lane])
            right = (parts[4, lane] + parts[5, lane]) + (parts[6, lane] + parts[7, lane])
            out[lane] = left + right
    for i in range(whole, n):
        for lane in range(lanes):
            out[lane] += tile[i, lane]


@compiled
def summed_in_halves(tile: Any, out: Any) -> None:
    """Sum of each lane in NumPy's order: what is longer than 128 in halves, and those likewise.

    Not by recursion: where `out` and what holds a half are of two layouts, numba compiles two
    functions that call each other, and what it loads of them from its cache is not whole.
    """
    begin, size = np.zeros(_DEEPEST, np.intp), np.zeros(_DEEPEST, np.intp)
    done, sums = np.zeros(_DEEPEST, np.intp), np.empty((_DEEPEST, tile.shape[1]))
    size[0], at = tile.shape[0], 0
    while at >= 0:
        half = size[at] // 2
        half -= half % _EIGHT
        if size[at] <= _LONGEST:
            summed(tile[begin[at] : begin[at] + size[at]], sums[at])
            at -= 1
        elif done[at] < 2:  # a half is left
            if done[at]:
                sums[at] = sums[at + 1]
            begin[at + 1] = begin[at] + (half if done[at] else 0)
            size[at + 1] = size[at] - half if done[at] else half
            done[at] += 1
            at += 1
            done[at] = 0
        else:
            sums[at] += sums[at + 1]
            at -= 1
    out[:] = sums[0]


@compiled
def tops(tile: Any, width: Any, out: Any) -> None:
    """Highest of each whole `width` samples of a tile; (blocks, lanes)."""
    for k in range(out.shape[0]):
        out[k] = tile[k * width]
        for i in range(k * width + 1, (k + 1) * width):
            for lane in range(tile.shape[1]):
                value = tile[i, lane]
                out[k, lane] = value if value > out[k, lane] else out[k, lane]


@compiled
def heights(x: Any, width: Any, out: Any, steepest: Any) -> None:
    """Range of each stretch of rows, and the largest difference of neighbours."""
    n_rows, n = x.shape
    high, low = np.empty(out.shape[1]), np.empty(out.shape[1])
    steps = np.empty(n - 1)
    for r in range(n_rows):
        row = x[r]
        blocks_of(row, width, high, low)
        for k in range(high.size):
            out[r, k] = high[k] - low[k]
        here, after = row[:-1], row[1:]
        for i in range(n - 1):
            steps[i] = abs(after[i] - here[i])
        steepest[r] = highest_of(steps)
