"""Which samples of rows can be used, found once for the beats and for the quality.

Most rows have nothing wrong; where loops are compiled these are told by one look at the samples.
Not here: what is too large for a heart (`features.ecg.artefacts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from features import runs
from features.ecg import kernels
from features.runs import Bools, Floats, Ints, Runs

_SHORTEST_CLIP: Final = 3  # samples on the rail; one flat-topped peak is not clipping
_SHORTEST_CLIP_S: Final = 0.02


class Usable(NamedTuple):
    """Rows, and what is wrong with those that are not whole."""

    x: Floats  # (B, n) as it came
    odd: Ints  # rows in which anything may be wrong; the others are whole
    bridged: Floats  # (odd, n) with the shortest gaps closed
    flat: Bools  # (odd, n)
    usable: Bools  # (odd, n)


class Faults(NamedTuple):
    """Per row, shares of the core's samples, 0-1."""

    gap: Floats
    flat: Floats
    clip: Floats
    usable: Floats


def look(x: Floats, fs_hz: float) -> Usable:
    """What is wrong with rows.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
    """
    odd = np.arange(len(x))
    if kernels.worth_it(len(x)):
        odd = np.flatnonzero(~kernels.whole(x, _flat_length(fs_hz), _clip_length(fs_hz)))
    bridged = runs.bridge(x[odd], fs_hz)
    flat = runs.flat(bridged, fs_hz)
    return Usable(x, odd, bridged, flat, ~np.isnan(bridged) & ~flat)


def mask(view: Usable) -> Bools:
    """Samples that are neither gap nor flat, (B, n)."""
    out = np.ones(view.x.shape, np.bool_)
    out[view.odd] = view.usable
    return out


def runs_of(view: Usable, shortest: int) -> Iterator[Runs]:
    """Runs of usable samples, whole rows first."""
    n_rows, n = view.x.shape
    if view.odd.size < n_rows and n >= shortest:
        row = np.delete(np.arange(n_rows), view.odd)
        x = view.x if row.size == n_rows else view.x[row]
        yield Runs(row, np.zeros_like(row), np.ascontiguousarray(x))
    for own in runs.runs_of(view.bridged, view.usable, shortest):
        yield own._replace(row=view.odd[own.row])


def faults(view: Usable, fs_hz: float, core: Bools) -> Faults:
    """Gap, flat, clipped and usable shares of the core of rows."""
    total = max(int(core.sum()), 1)
    gap, flat, clip = np.zeros((3, len(view.x)))
    usable = np.full(len(view.x), float(core.any()))
    if view.odd.size:
        x = view.x[view.odd]
        rail = runs.on_a_rail(x, _clip_length(fs_hz)) & ~view.flat
        masks = ((gap, np.isnan(x)), (flat, view.flat), (clip, rail), (usable, view.usable))
        for out, mask in masks:
            out[view.odd] = mask[:, core].sum(axis=1) / total
    return Faults(gap, flat, clip, usable)


def _flat_length(fs_hz: float) -> int:
    """Unchanging samples that are flat, as `features.runs.flat` has it."""
    return max(2, round(runs.FLAT_S * fs_hz))


def _clip_length(fs_hz: float) -> int:
    """Samples at an extreme that are clipping."""
    return max(_SHORTEST_CLIP, round(_SHORTEST_CLIP_S * fs_hz))
