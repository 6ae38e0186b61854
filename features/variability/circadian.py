"""The daily course of a quantity: one cosine of 24 h."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability.rows import Floats

DAY_H: Final = 24.0
_FEWEST_VALUES: Final = 4  # three parameters and something left


class Cosinor(NamedTuple):
    """(n_rows,) each; NaN for fewer than 4 values or times that do not tell them apart."""

    mesor: Floats  # unit of the values
    amplitude: Floats
    phase_h: Floats  # clock time of the peak, in [0, 24)


def cosinor(value: Floats, clock_h: Floats) -> Cosinor:
    """Least-squares fit of mesor + amplitude cos(2 pi (t - phase) / 24 h).

    Parameters
    ----------
    value : (n_rows, n) float64
        NaN: missing.
    clock_h : (n_rows, n) float64
        Clock time of each value in hours, any origin.

    Returns
    -------
    Cosinor

    Notes
    -----
    Source: Nelson et al. (1979), Chronobiologia 6:305.
    Checked against: ``tests/features/variability/test_circadian.py``.

    Examples
    --------
    >>> t = np.arange(24.0)[None]
    >>> fit = cosinor(70 + 8 * np.cos(2 * np.pi * (t - 15) / 24), t)
    >>> [round(float(v[0]), 6) for v in fit]
    [70.0, 8.0, 15.0]
    """
    known = np.isfinite(value) & np.isfinite(clock_h)
    angle = np.where(known, 2.0 * np.pi / DAY_H * clock_h, 0.0)
    one = known.astype(np.float64)
    c, s, y = one * np.cos(angle), one * np.sin(angle), np.where(known, value, 0.0)
    n = one.sum(axis=1)
    # Around their means, two unknowns are left.
    enough = n >= _FEWEST_VALUES
    n = np.where(enough, n, np.nan)
    mean_c, mean_s, mean_y = (x.sum(axis=1) / n for x in (c, s, y))
    cc = (c * c).sum(axis=1) - n * mean_c**2
    ss = (s * s).sum(axis=1) - n * mean_s**2
    cs = (c * s).sum(axis=1) - n * mean_c * mean_s
    cy = (c * y).sum(axis=1) - n * mean_c * mean_y
    sy = (s * y).sum(axis=1) - n * mean_s * mean_y
    area = cc * ss - cs * cs
    area = np.where(area > 1e-6 * n * n, area, np.nan)
    along, across = (cy * ss - sy * cs) / area, (sy * cc - cy * cs) / area
    mesor = mean_y - along * mean_c - across * mean_s
    phase_h = (np.arctan2(across, along) * DAY_H / (2.0 * np.pi)) % DAY_H
    # A phase a hair below 0 is rounded up to 24.
    return Cosinor(mesor, np.hypot(along, across), np.where(phase_h >= DAY_H, 0.0, phase_h))
