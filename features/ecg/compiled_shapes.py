"""Compiled forms of what a beat looks like next to its row's other beats, row after row.

Bit for bit what NumPy gives in `features.ecg.morphology`; logarithms are taken outside, by NumPy.
Imported only where numba is installed (`features.ecg.kernels`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import (
    around,
    extremes,
    kinship,
    likeness,
    measures,
    middles,
    row_end,
    units,
    without_line,
)
from features.ecg.compiled_looks import limited, usual_rr

_TINY: Final = 1e-30  # `features.ecg.alone.TINY`
_MOST: Final = 64  # beats of a row for which there is room at first


@compiled
def measured(waves: Any, beats: Any, spec: Any, out: Any) -> None:
    """Likeness, heights and sizes of beats; `features.ecg.morphology.BroadView` and `_measures`.

    Rows of `out`: likeness and kinship of broad cuts, likeness of sharp ones, highest and lowest
    sample, and the measures of sharp and of broad cuts, four each.
    """
    wave, slow = waves
    row, peak = beats
    (broad, every, along, fifth), sharp, (up, down), nearby = spec
    n_broad, n_sharp = 2 * broad // every + 1, 2 * sharp + 1
    room = _MOST
    wide, narrow = np.empty((2, room, n_broad)), np.empty((2, room, n_sharp))
    edges = np.empty((2, room, 2))
    start = 0
    while start < row.size:
        stop = row_end(row, start)
        n = stop - start
        if n > room:
            room = n
            wide, narrow = np.empty((2, room, n_broad)), np.empty((2, room, n_sharp))
            edges = np.empty((2, room, 2))
        own = row[start:stop], peak[start:stop]
        cut, unit = wide[0, :n], wide[1, :n]
        around(slow, own, broad, every, cut)
        without_line(cut, along, fifth)
        units(cut, unit)
        likeness(unit, own[0], out[0, start:stop])
        kinship(unit, own[0], nearby, out[1, start:stop])
        measures(cut, out[9:13, start:stop])
        cut, unit = narrow[0, :n], narrow[1, :n]
        around(wave, own, sharp, 1, cut)
        units(cut, unit)
        likeness(unit, own[0], out[2, start:stop])
        measures(cut, out[5:9, start:stop])
        extremes(slow, own, up, 1, edges[0, :n])
        extremes(slow, own, down, 1, edges[1, :n])
        out[3, start:stop] = edges[0, :n, 0]
        out[4, start:stop] = edges[1, :n, 1]
        start = stop


@compiled
def leaning(up: Any, down: Any, out: Any) -> None:
    """How far each beat of a row points where they point; `features.ecg.morphology._with_most`."""
    whole = 0.0
    for k in range(up.size):
        out[k] = (up[k] - down[k]) / (up[k] + down[k] + _TINY)
        whole += out[k]
    if whole / max(up.size, 1) < 0:
        for k in range(up.size):
            out[k] *= -1.0


@compiled
def ectopic(row: Any, at_s: Any, views: Any, usual_s: Any, out: Any) -> None:
    """Inputs of the ventricular look; see `features.ecg.morphology.ectopy_inputs`."""
    seen, logs = views
    every, ordered = np.ones(row.size, np.bool_), np.empty(row.size)
    middle = np.empty(1)
    start = 0
    while start < row.size:
        stop = row_end(row, start)
        own, none = slice(start, stop), np.zeros(stop - start, np.intp)
        rr = usual_rr(at_s[own], every[own], ordered, usual_s)
        for k in range(start, stop):
            before = abs(at_s[k - 1] - at_s[k]) / rr if k > start else 1.0
            after = abs(at_s[k + 1] - at_s[k]) / rr if k < stop - 1 else 1.0
            out[0, k], out[1, k], out[13, k] = seen[0, k], seen[2, k], seen[1, k]
            out[2, k], out[3, k] = logs[0, k], logs[1, k]
            out[8, k], out[9, k] = limited(before, 0.0, 2.5), limited(after, 0.0, 2.5)
            out[10, k] = limited(before - after, -2.0, 2.0)
            out[11, k] = limited(before + after, 0.0, 4.0)
            out[12, k] = limited(logs[3, k] - logs[2, k], -3.0, 3.0)
        for j in range(4):
            middles(logs[j, own], none, False, middle)
            for k in range(start, stop):
                out[4 + j, k] = limited(logs[j, k] - middle[0], -3.0, 3.0)
        leaning(seen[7, own], seen[8, own], out[14, own])
        start = stop
