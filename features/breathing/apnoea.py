"""Seconds without breathing in the chest wave."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final

import numpy as np
from scipy import ndimage

from features import runs
from features.breathing.ragged import quartiles
from features.breathing.wave import WAVE_HZ
from features.ecg import kernels
from features.intervals import row_sums
from features.runs import Bools, Floats

_SPAN: Final = round(4.0 * WAVE_HZ) + 1  # samples in which a breath must show
_SHARE: Final = 0.2  # of the usual size of breaths
_SHORTEST_S: Final = 10.0  # the clinical definition of an apnoea


def apnoea_s(wave: Floats) -> Floats:
    """Seconds of each window in pauses of breathing of at least 10 s.

    Parameters
    ----------
    wave : (B, n_samples) float64
        Respiration wave at 4 Hz; NaN marks a gap.

    Returns
    -------
    (B,) float64
        0 to the window's length. NaN if no 4 s of the wave are known, or if they never move.

    Notes
    -----
    Breath size at a time: largest minus smallest sample in the 4 s around it. Pause: size below
    20 % of the window's upper quartile of sizes, for at least 10 s together with the 2 s on each
    side that the size cannot resolve. The upper quartile rather than the median, so that a pause
    of up to 45 s in 60 does not become what is usual. A gap ends a pause. What makes the wave
    move without breath (heart beats above 20 % of a breath's size) hides a pause: no finding is
    no proof of breathing.
    """
    n = wave.shape[1]
    if n < _SPAN or not len(wave):
        return np.full(len(wave), np.nan)
    if kernels.worth_it(len(wave)):
        out = np.empty(len(wave))
        spec = _SPAN, _SHARE, _SHORTEST_S, WAVE_HZ
        _loops().pauses(np.ascontiguousarray(wave), spec, out)
        return out
    known = ~np.isnan(wave)
    filled = np.where(known, wave, 0.0)
    size = ndimage.maximum_filter1d(filled, _SPAN, axis=1)
    size = size - ndimage.minimum_filter1d(filled, _SPAN, axis=1)
    whole = _eroded(known)
    row, column = np.nonzero(whole)
    usual = np.nan_to_num(quartiles(size[row, column], row, len(wave))[2])
    quiet = whole & (size < _SHARE * usual[:, None])
    row, start, stop = runs.spans(~_eroded(~quiet, outside=True))
    lengths_s = (stop - start) / WAVE_HZ
    paused = lengths_s >= _SHORTEST_S
    total_s = row_sums(lengths_s[paused], row[paused], len(wave))
    return np.where(usual > 0, total_s, np.nan)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.breathing.loops")


def _eroded(mask: Bools, *, outside: bool = False) -> Bools:
    """Samples with True all over the span around them; beyond the row counts as `outside`."""
    value = 1.0 if outside else 0.0
    least = ndimage.minimum_filter1d(mask, _SPAN, axis=1, mode="constant", cval=value)
    return np.asarray(least, np.bool_)
