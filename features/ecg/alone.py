"""A candidate by itself: its size, surroundings and shape, without unit or polarity.

Not here: how it compares with the beats of its row (`features.ecg.company`).
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

import numpy as np

from features.ecg import kernels
from features.ecg.candidates import Block, Candidates
from features.runs import Bools, Floats, Ints

TINY: Final = 1e-30  # below any square of any unit; keeps divisions and logarithms finite
_WAVE_AT_S: Final = (-0.16, -0.12, -0.08, -0.06, -0.04, -0.02, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16)
_SLOW_AT_S: Final = (-0.32, -0.24, -0.16, -0.1, -0.06, 0.06, 0.1, 0.16, 0.24, 0.32, 0.4)
_LIMITS: Final = (1.0, 4.0)  # of the wave and of the signal, in units of the peak
_NEIGHBOURS: Final = 3
_FAR_S: Final = 2.0


def alone(block: Block, found: Candidates) -> Floats:
    """Inputs of the first look, (inputs, n) float64.

    Parameters
    ----------
    block : Block
    found : Candidates

    Returns
    -------
    (inputs, n) float64
        Finite. Logarithms of ratios, seconds, and samples in units of the candidate's peak.
    """
    log_height = np.log(np.maximum(found.height, TINY))
    log_level = np.log(np.maximum(block.levels, TINY))
    peak = block.wave[found.row, found.at]
    size = np.maximum(np.abs(peak), TINY)
    unit = np.where(peak < 0, -1.0, 1.0) / size
    if by := kernels.for_looks(len(block.wave)):
        return _compiled_alone(by, (block, found), (log_height, log_level, np.log(size), unit))
    levels = log_level[found.row].T
    columns = [(log_height - level).clip(-4, 4) for level in levels[:3]]
    columns += [(level - levels[1]).clip(-6, 0) for level in levels[3:]]
    columns.append((np.log(size) - log_height).clip(-4, 4))
    columns += [found.margin[:, 1].clip(-3, 3), found.margin.min(axis=1).clip(-3, 3)]
    columns += _neighbours(block, found, log_height)
    return np.stack(columns + _samples(block, found, unit))


def _compiled_alone(
    by: ModuleType, of: tuple[Block, Candidates], logs: tuple[Floats, ...]
) -> Floats:
    """The same by a loop."""
    block, found = of
    places = [
        np.array([round(offset_s * block.fs_hz) for offset_s in times_s], np.intp)
        for times_s in (_WAVE_AT_S, _SLOW_AT_S)
    ]
    out = np.empty((8 + 4 * _NEIGHBOURS + sum(place.size for place in places), found.row.size))
    waves = block.wave, np.ascontiguousarray(block.slow)
    spec = (*zip(places, _LIMITS, strict=True), (_NEIGHBOURS, _FAR_S, block.fs_hz))
    own = found.row, found.at, found.summit, np.ascontiguousarray(found.margin)
    by.by_themselves(waves, own, logs, spec, out)
    return out


def _neighbours(block: Block, found: Candidates, log_height: Floats) -> list[Floats]:
    """Seconds to, and relative height of, the candidates before and after."""
    columns = []
    for k in range(1, _NEIGHBOURS + 1):
        for sign in (-1, 1):
            other, exists = neighbour(found.row, sign * k)
            apart = np.abs(found.summit[other] - found.summit) / block.fs_hz
            columns.append(np.where(exists, apart.clip(0, _FAR_S), _FAR_S))
            taller = (log_height[other] - log_height).clip(-3, 3)
            columns.append(np.where(exists, taller, -1.0))
    return columns


def neighbour(row: Ints, k: int) -> tuple[Ints, Bools]:
    """Index of the k-th candidate after (k < 0: before) each, and whether its row has one."""
    at = np.arange(row.size)
    other = (at + k).clip(0, max(row.size - 1, 0))
    exists = (row[other] == row) & (other == at + k)
    return np.where(exists, other, at), exists


def _samples(block: Block, found: Candidates, unit: Floats) -> list[Floats]:
    """The wave, and the signal against its value at the peak, at set times around it."""
    last = block.wave.shape[1] - 1
    columns = []
    for offset_s in _WAVE_AT_S:
        at = (found.at + round(offset_s * block.fs_hz)).clip(0, last)
        columns.append((block.wave[found.row, at] * unit).clip(-_LIMITS[0], _LIMITS[0]))
    here = block.slow[found.row, found.at]
    for offset_s in _SLOW_AT_S:
        at = (found.at + round(offset_s * block.fs_hz)).clip(0, last)
        columns.append(((block.slow[found.row, at] - here) * unit).clip(-_LIMITS[1], _LIMITS[1]))
    return columns
