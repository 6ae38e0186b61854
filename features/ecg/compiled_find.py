"""Compiled form of how candidates are found: rows side by side, a tile at a time from end to end.

What a tile needs stays in the second cache; of whole batches only the wave is written. Bit for bit
what `features.ecg.candidates` does step by step, for rows in which nothing is too large for a
heart; others are told, and left to it. Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total
from features.ecg.compiled_beats import highest_near
from features.ecg.compiled_rows import summits_of, two_bands
from features.highest import blocks_of, highest_of, lowest_of
from features.tiles import LANES, averaged, laid, lifted, running


@compiled
def leveled(row: Any, spec: Any, high: Any, low: Any, out: Any) -> Any:
    """Levels of a row's envelope; whether something in it is too large for a heart."""
    width, at, usual_at, too_large = spec
    blocks_of(row, width, high, low)
    high.sort()
    low.sort()
    n = high.size * width
    for j in range(at.size):
        out[j] = high[at[j]]
    out[at.size] = low[high.size // 2]
    out[at.size + 1] = total(row[:n]) / n
    usual = high[usual_at]
    return usual > 0 and highest_of(row) > too_large * usual


@compiled
def powered(size: Any, limit: Any, whole: Any) -> None:
    """Sizes of a tile clipped and squared, in place; their sums from the first on."""
    whole[:] = 0.0
    for i in range(size.shape[0]):
        for lane in range(size.shape[1]):
            value = min(size[i, lane], limit[lane])
            size[i, lane] = value * value
            whole[lane] += value * value


@compiled
def more_room(places: Any, values: Any, least: Any) -> Any:
    """The same with room for twice as many, and at least so many, more."""
    more = max(places.shape[1], least)
    return (
        np.concatenate((places, np.empty((places.shape[0], more), np.intp)), axis=1),
        np.concatenate((values, np.empty((values.shape[0], more))), axis=1),
    )


@compiled
def banded(x: Any, first: Any, bands: Any, spec: Any, room: Any) -> Any:
    """A tile's wave put into its rows; its size above the floor; how many rows it has."""
    (tile, low), (pad, floor), waves = room, spec[:2], spec[2]
    lanes = two_bands(x, first, bands, tile, (pad, waves))
    for lane in range(lanes):
        row = x[first + lane]
        low[lane] = floor * max(highest_of(row), -lowest_of(row))
    size = tile[pad : pad + x.shape[1]]
    for i in range(size.shape[0]):
        for lane in range(size.shape[1]):
            value = abs(size[i, lane])
            size[i, lane] = value if value > low[lane] else 0.0
    return lanes


@compiled
def found(x: Any, bands: Any, spec: Any, out: Any) -> Any:
    """Candidates of rows: places and values of each; see `features.ecg.candidates.find`."""
    (pad, floor, width), of_levels, whole, (reach, least, around), ratio = spec
    waves, levels, odd = out
    (short, long, shoulder, offset), clip = ratio
    n_rows, n = x.shape
    most = min(LANES, n_rows)
    tile, mean, far = np.zeros((n + 2 * pad, most)), np.empty((n, most)), np.empty((n, most))
    envelope, size = np.empty((most, n)), tile[pad : pad + n]
    low, bar, energy = np.zeros(most), np.zeros(most), np.empty(most)
    high_of, low_of = np.empty(whole), np.empty(whole)
    possible, tops = np.zeros(n + 8 - n % 8, np.uint8), np.empty(n, np.intp)
    places, values = np.empty((3, 40 * n_rows + n), np.intp), np.empty((4, 40 * n_rows + n))
    count = 0
    for first in range(0, n_rows, LANES):
        lanes = banded(x, first, bands, (pad, floor, waves), (tile, low))
        averaged(size, width, mean)
        lifted(mean, 0, 0, lanes, envelope)
        begin = count
        for lane in range(lanes):
            r, row = first + lane, envelope[lane]
            odd[r] = leveled(row, of_levels, high_of, low_of, levels[r])
            bar[lane] = clip * levels[r, 1]
            n_tops = summits_of(row, max(low[lane], least * levels[r, 1]), reach, possible, tops)
            if count + n_tops > places.shape[1]:
                places, values = more_room(places, values, n_tops)
            for k in range(n_tops):
                at = highest_near(waves[r], tops[k], around)
                places[0, count], places[1, count], places[2, count] = r, at, tops[k]
                values[0, count] = row[tops[k]]
                count += 1
        powered(size, bar, energy)
        running(size, short, mean)
        running(size, long, far)
        for k in range(begin, count):
            lane = places[0, k] - first
            for side in range(3):
                at = min(max(places[2, k] + (side - 1) * shoulder, 0), n - 1)
                most_far = far[at, lane] / long + offset * (energy[lane] / n)
                ratio_at = mean[at, lane] / short / most_far if most_far > 0 else 0.0
                values[1 + side, k] = ratio_at
    return places[:, :count].copy(), values[:, :count].copy()


@compiled
def sloped(tile: Any, mean: Any, spec: Any) -> None:
    """Running mean of the squared slope of the running mean of a tile, in `mean`."""
    smooth, half, width = spec
    averaged(tile, smooth, mean)
    tile[:] = 0.0
    for i in range(half, tile.shape[0] - half):
        for lane in range(tile.shape[1]):
            slope = mean[i + half, lane] - mean[i - half, lane]
            tile[i, lane] = slope * slope
    averaged(tile, width, mean)


@compiled
def steepest(x: Any, spec: Any, levels: Any) -> Any:
    """Summits of the slope's energy, their size, and each row's level; `features.ecg.second`."""
    of_energy, width, reach, least = spec
    n_rows, n = x.shape
    most = min(LANES, n_rows)
    tile, mean, energy = np.zeros((n, most)), np.empty((n, most)), np.empty((most, n))
    whole = n // width
    high, low = np.empty(whole), np.empty(whole)
    possible, tops = np.zeros(n + 8 - n % 8, np.uint8), np.empty(n, np.intp)
    places, values = np.empty((2, 40 * n_rows + n), np.intp), np.empty((1, 40 * n_rows + n))
    count = 0
    for first in range(0, n_rows, LANES):
        lanes = laid(x, first, tile, 0)
        sloped(tile, mean, of_energy)
        lifted(mean, 0, 0, lanes, energy)
        for lane in range(lanes):
            row = energy[lane]
            blocks_of(row, width, high, low)
            high.sort()
            middle = high[whole // 2]
            level = middle if whole % 2 else (high[whole // 2 - 1] + middle) / 2.0
            levels[first + lane] = level
            n_tops = summits_of(row, least * level, reach, possible, tops)
            if count + n_tops > places.shape[1]:
                places, values = more_room(places, values, n_tops)
            for k in range(n_tops):
                places[0, count], places[1, count] = first + lane, tops[k]
                values[0, count] = row[tops[k]]
                count += 1
    return places[:, :count].copy(), values[0, :count].copy()
