"""How like the pulses around it each pulse is.

The usual comparison with one template of the row condemns bigeminy and slow changes; here each
pulse needs only two like itself among the four around.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.ecg import kernels
from features.ppg.wave import Wave
from features.runs import Floats, Ints

_BEFORE_S: Final = 0.2
_AFTER_S: Final = 0.4
_SHAPE_HZ: Final = 32.0  # enough for a wave of 8 Hz whose shape alone is compared
_SHIFTS: Final = (1, 2)


def likeness(wave: Wave, row: Ints, steepest: Floats) -> Floats:
    """Correlation of each pulse with its neighbours.

    Parameters
    ----------
    wave : Wave
    row : (n,) int
        Row of each pulse, ascending.
    steepest : (n,) float64
        Position of its steepest upslope, inner samples.

    Returns
    -------
    (n,) float64
        Mean of the best two correlations with the two pulses before and the two after, -1 to 1;
        of the best one where there is only one; NaN where there is none or the pulse is cut off.

    Notes
    -----
    Shape: 0.2 s before to 0.4 s after the steepest upslope of the band-passed wave.
    After Orphanidou et al. (2015), IEEE J Biomed Health Inform 19:832 (template matching).
    """
    out = np.full(row.size, np.nan)
    offset = np.arange(-_BEFORE_S, _AFTER_S + 0.5 / _SHAPE_HZ, 1.0 / _SHAPE_HZ) * wave.fs_hz
    if kernels.worth_it(len(wave.band)):
        band = np.ascontiguousarray(wave.band)
        kernels.over_pulse_waves().likenesses(band, row, steepest, offset, out)
        return out
    at = steepest[:, None] + offset
    whole = np.flatnonzero((at[:, 0] >= 0) & (at[:, -1] < wave.band.shape[1] - 1))
    if whole.size < 2:
        return out
    shape = _normalised(wave.band, row[whole], at[whole])
    n = whole.size
    alike = np.full((2 * len(_SHIFTS), n), -np.inf)
    for k, shift in enumerate(_SHIFTS):
        if n <= shift:
            continue
        same = row[whole[shift:]] == row[whole[:-shift]]
        # Products and sums, not a matrix product: BLAS may add in another order elsewhere.
        product = np.where(same, (shape[shift:] * shape[:-shift]).sum(axis=1), -np.inf)
        alike[2 * k, shift:] = product
        alike[2 * k + 1, :-shift] = product
    alike.sort(axis=0)
    best, second = alike[-1], alike[-2]
    best[best == -np.inf] = np.nan
    out[whole] = np.where(second == -np.inf, best, 0.5 * (best + second))
    return out


def _normalised(y: Floats, row: Ints, at: Floats) -> Floats:
    """Samples at fractional positions, mean 0 and norm 1 (0 where constant)."""
    left = at.astype(np.intp)
    share = at - left
    flat, begin = y.reshape(-1), left + row[:, None] * y.shape[1]
    cut = flat[begin] * (1.0 - share)
    cut += flat[begin + 1] * share
    cut -= cut.mean(axis=1, keepdims=True)
    norm = np.sqrt((cut * cut).sum(axis=1, keepdims=True))
    return np.asarray(cut / np.where(norm > 0, norm, 1.0), np.float64)
