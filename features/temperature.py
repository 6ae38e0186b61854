"""Skin or body temperature: level and trend.

A segment leaves one number. Not here: the personal day rhythm (`features.baseline`), of which
`temp_circ_resid_c` is the residual; spectra, which temperature does not have.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.column import Column
from features.intervals import Floats
from features.segment_rows import column, row_median, row_slope

# Skin of a dying or freezing patient to a feverish core; a sensor in the air reads less or more.
LOWEST_C: Final = 15.0
HIGHEST_C: Final = 45.0
_ROW_H: Final = 300.0 / 3600.0
_FEWEST_SLOPE_ROWS: Final = 6  # half of the hour


def segment_median(x: Floats) -> Floats:
    """Median of the valid samples of each 10 s segment.

    Parameters
    ----------
    x : (B, n) float64
        The cores of B segments in °C, at any rate; NaN is a gap.

    Returns
    -------
    (B,) float64
        °C; NaN where no sample lies within 15-45 °C.
    """
    return row_median(np.where((x >= LOWEST_C) & (x <= HIGHEST_C), x, np.nan))


def temperature_column(medians: Floats, quality: Floats) -> Column:
    """`temp_mean_c` of windows from `(B, S)` segment medians: their median; one is enough."""
    n = (~np.isnan(medians)).sum(axis=1)
    total = max(medians.shape[1], 1)
    return column(row_median(medians), quality, n / total, n, 1.0 / total)


def slope_column(row_medians: Floats, quality: Floats) -> Column:
    """`temp_slope_c_per_h` of the last hour.

    Parameters
    ----------
    row_medians : (B, 12) float64
        `temp_mean_c` of twelve successive 300 s; NaN for missing ones.
    quality : (B,) float64

    Returns
    -------
    Column
        Least-squares slope in °C/h over at least six rows.
    """
    n = (~np.isnan(row_medians)).sum(axis=1)
    middle_h = (np.arange(row_medians.shape[1], dtype=np.float64) + 0.5) * _ROW_H
    slope = np.where(n >= _FEWEST_SLOPE_ROWS, row_slope(middle_h, row_medians), np.nan)
    return column(slope, quality, n / max(row_medians.shape[1], 1), n)
