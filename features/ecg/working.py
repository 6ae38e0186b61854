"""The rate at which beats are sought: about 125 Hz, whatever the device sends.

A QRS complex has nothing above 40 Hz that helps to tell it from a T wave, and its place is found
later in the samples themselves. Not here: gaps; rows are whole.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.runs import Floats

_TARGET_HZ: Final = 125.0
_LEAST_HZ: Final = 85.0  # below it samples are added, so that a QRS has a dozen


def factor(fs_hz: float) -> int:
    """Samples made one (positive) or made of one (negative) at this rate; never 0."""
    if fs_hz < _LEAST_HZ:
        return -int(np.ceil(_LEAST_HZ / fs_hz))
    return max(1, round(fs_hz / _TARGET_HZ))


def rate(fs_hz: float) -> float:
    """The working rate at this sampling rate, Hz."""
    by = factor(fs_hz)
    return fs_hz * -by if by < 0 else fs_hz / by


def at_working_rate(x: Floats, fs_hz: float) -> tuple[Floats, float]:
    """Rows at 83 to 188 Hz, and that rate.

    Parameters
    ----------
    x : (B, n_samples) float64
        Finite.
    fs_hz : float
        Sampling rate, above 0.

    Returns
    -------
    rows : (B, n_working) float64
        Means of neighbouring samples, or a Catmull-Rom spline through them.
    working_hz : float

    Notes
    -----
    Working sample j lies at `to_samples(j, fs_hz)` of the device's samples.
    """
    by = factor(fs_hz)
    if by == 1:
        return x, fs_hz
    if by < 0:
        return _between(x, -by), fs_hz * -by
    n = x.shape[1] // by
    if n == 0:
        return x[:, :0], fs_hz / by
    total = x[:, : n * by : by].copy()
    for phase in range(1, by):
        total += x[:, phase : n * by : by]
    total /= by
    return total, fs_hz / by


def to_samples(position: Floats, fs_hz: float) -> Floats:
    """Place of working positions among the device's samples."""
    by = factor(fs_hz)
    return position / -by if by < 0 else position * by + 0.5 * (by - 1)


def _between(x: Floats, times: int) -> Floats:
    """Rows with `times` samples for every one, by a Catmull-Rom spline; the last one is kept."""
    n = x.shape[1]
    edged = np.concatenate((x[:, :1], x, x[:, -1:], x[:, -1:]), axis=1)
    before, here, after, later = (edged[:, i : i + n] for i in range(4))
    out = np.empty((x.shape[0], n, times))
    for phase in range(times):
        t = phase / times
        cubic = t * (after - before + t * (2 * before - 5 * here + 4 * after - later))
        out[:, :, phase] = here + 0.5 * (cubic + t * t * t * (3 * (here - after) + later - before))
    return np.ascontiguousarray(out.reshape(x.shape[0], n * times)[:, : (n - 1) * times + 1])
