"""Movement of windows slot by slot, and how much of the pulse wave it explains.

Not here: what a line of movement is (`features.ppg.movement`), what follows for the pulses
(`features.families.pulse`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import numpy as np

from features.ecg import kernels
from features.gather import Slotted
from features.lean import unknown
from features.ppg.movement import (
    FIRST_BIN,
    HZ,
    OF_LINES,
    REJECTION,
    Movement,
    explained,
    movement_of,
)
from features.runs import Bools, Floats


class Moved(NamedTuple):
    """Movement of every 10 s of B windows, and how much of the pulse wave it explains."""

    movement: Movement  # (B, S, bins) and (B, S)
    share: Floats  # (B, S) 0-1, of the pulse band's power; 0 where nothing is known


class Where(NamedTuple):
    """Where the numbers asked about stand among those of a segment."""

    mad_mg: int
    acc_bins: int  # the first
    ppg_bins: int


def moved(acc: Slotted, ppg: Slotted, same: Bools, where: Where) -> Moved:
    """`movement_of` and `explained` of segments in the slots of their windows.

    Parameters
    ----------
    acc, ppg : Slotted
        Of B windows, the same number of slots.
    same : (B,) bool
        Windows in which both come from one device; in others nothing is known of movement.
    where : Where
    """
    shape = same.size, acc.n_slots
    if kernels.worth_it(same.size):
        out = np.empty((*shape, HZ.size)), np.empty(shape), np.empty(shape)
        specs = (
            (where.mad_mg, where.acc_bins + FIRST_BIN),
            where.ppg_bins + FIRST_BIN,
            OF_LINES,
            (REJECTION, HZ**2),
        )
        _loops().moved(acc[:4], ppg[:4], same, specs, out)
        return Moved(Movement(*out[:2]), out[2])
    numbers = _filled(acc, same.size)
    numbers[~same] = np.nan
    told = movement_of(numbers[:, :, where.acc_bins :], numbers[:, :, where.mad_mg])
    share = explained(_filled(ppg, same.size)[:, :, where.ppg_bins :], told)
    return Moved(told, np.where(told.strength > 0, share, 0.0))


def _filled(own: Slotted, n_rows: int) -> Floats:
    out = unknown((n_rows, own.n_slots, own.numbers.shape[1]))
    out[own.row[own.kept], own.slot[own.kept]] = own.numbers[own.kept]
    return out


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.ppg.movement_loops")
