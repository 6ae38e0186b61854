"""An hour of what sensors report every few minutes: glucose, steps, sleep, from 5 min means.

Not here: the means of shorter windows (`features.families.device`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.column import Column
from features.feature import FeatureReason
from features.intervals import Floats
from features.segment_rows import column, row_extreme, row_mean, row_slope

LOW_MMOL_PER_L: Final = 3.9  # level 1 hypoglycaemia, Battelino et al. 2019, Diabetes Care 42:1593
SOURCES: Final = ("glucose_mean_mmol_per_l", "step_rate_per_min", "asleep_pct")
_ROW_H: Final = 300.0 / 3600.0
_FEWEST_ROWS: Final = 3  # a sensor that speaks every quarter of an hour gives four
_LEAST_APART_H: Final = 0.5


def hour_columns(rows: Floats) -> dict[str, Column]:
    """Features of the last hour.

    Parameters
    ----------
    rows : (B, 12, 3) float64
        Means of twelve successive 300 s as in `SOURCES`, oldest first; NaN for missing ones.

    Returns
    -------
    dict of str to Column
        By feature name; `coverage` is the share of the twelve that is known. A trend and a share
        of time need three rows, the first and the last at least half an hour apart.

    Notes
    -----
    Checked against: ``tests/features/test_daily_life.py``.
    """
    made = {name: _mean(rows[:, :, i]) for i, name in enumerate(SOURCES)}
    glucose = rows[:, :, 0]
    known = ~np.isnan(glucose)
    n = known.sum(axis=1)
    middle_h = (np.arange(glucose.shape[1], dtype=np.float64) + 0.5) * _ROW_H
    at_h = np.where(known, middle_h, np.nan)
    apart_h = row_extreme(at_h, largest=True) - row_extreme(at_h, largest=False)
    enough = (n >= _FEWEST_ROWS) & (apart_h >= _LEAST_APART_H - 1e-9)
    low = 100.0 * row_mean(np.where(known, glucose < LOW_MMOL_PER_L, np.nan))
    for name, value in (
        ("glucose_slope_mmol_per_l_per_h", row_slope(middle_h, glucose)),
        ("glucose_low_pct", low),
    ):
        made[name] = _of(np.where(enough, value, np.nan), glucose)
    return made


def _mean(values: Floats) -> Column:
    return _of(row_mean(values), values)


def _of(value: Floats, rows: Floats) -> Column:
    """A feature of rows; what has no value lacks rows: a `GAP`."""
    n = (~np.isnan(rows)).sum(axis=1)
    made = column(value, (n > 0).astype(np.float64), n / rows.shape[1], n, 0.0)
    lost = np.isnan(value)
    return made._replace(reason=np.where(lost, FeatureReason.GAP, made.reason).astype(np.uint8))
