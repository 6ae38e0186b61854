"""Compiled form of `features.ppg.moved`; the same bits as the NumPy beside which it stands.

Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total

_LARGEST: Final = float(np.finfo(np.float64).max)


@compiled
def number(x: Any) -> Any:
    """As `lean.number_or`."""
    return min(max(float(x), -_LARGEST), _LARGEST) if x == x else 0.0


@compiled
def slots(own: Any, out: Any) -> None:
    """Which segment fills each slot of each window; -1: none."""
    row, slot, kept = own
    out[:] = -1
    for i in range(row.size):
        if kept[i]:
            out[row[i], slot[i]] = i


@compiled
def lines(numbers: Any, places: Any, spec: Any, line: Any) -> Any:
    """Lines of one segment's acceleration, and how strong and periodic the movement is."""
    mad, first = places
    height, line_from, line_full, moving, reach = spec
    n = line.size
    there, near = np.empty(n), np.zeros(n)
    best = 0
    for k in range(n):
        there[k] = number(numbers[first + k])
        best = k if there[k] > there[best] else best
    top = there[best]
    low = height * (top if top > 0 else 1.0)
    for k in range(n):
        line[k] = min(there[k] / low, 1.0)
        near[k] = there[k] if abs(k - best) <= reach else 0.0
    whole = total(there)
    share = total(near) / (whole if whole > 0 else 1.0)
    periodic = min(max((share - line_from) / (line_full - line_from), 0.0), 1.0)
    return min(number(numbers[mad]) / moving, 1.0) * periodic


@compiled
def explained(numbers: Any, first: int, movement: Any, spec: Any) -> Any:
    """Share of one segment's pulse band that its movement explains."""
    line, strength = movement
    rejection, squared_hz = spec
    power, product = np.empty(line.size), np.empty(line.size)
    for k in range(line.size):
        power[k] = number(numbers[first + k]) * squared_hz[k]
        product[k] = power[k] * (rejection * strength * line[k])
    whole = total(power)
    return total(product) / (whole if whole > 0 else 1.0)


@compiled
def moved(acc: Any, ppg: Any, same: Any, specs: Any, out: Any) -> None:
    """Lines, strengths and shares of every slot; see `features.ppg.moved`."""
    places, ppg_first, of_lines, of_shares = specs
    line, strength, share = out
    n_rows, n_slots = strength.shape
    of_acc = np.empty((n_rows, n_slots), np.int64)
    of_ppg = np.empty((n_rows, n_slots), np.int64)
    slots(acc[:3], of_acc)
    slots(ppg[:3], of_ppg)
    for r in range(n_rows):
        for s in range(n_slots):
            own = of_acc[r, s]
            line[r, s], strength[r, s], share[r, s] = 0.0, 0.0, 0.0
            if own < 0 or not same[r]:
                continue
            strength[r, s] = lines(acc[3][own], places, of_lines, line[r, s])
            wave = of_ppg[r, s]
            if strength[r, s] > 0 and wave >= 0:
                movement = line[r, s], strength[r, s]
                share[r, s] = explained(ppg[3][wave], ppg_first, movement, of_shares)
