"""Phase-rectified signal averaging: how the heart slows down and speeds up on average."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability import loops
from features.variability.rows import Bools, Floats, Ints, NnRows, row_means

_LARGEST_CHANGE: Final = 0.05  # Bauer 2006: larger ones are artefacts
FEWEST_ANCHORS: Final = 20


class Capacities(NamedTuple):
    """Deceleration and acceleration capacity in ms, (n_rows,) each; NaN below 20 anchors."""

    dc_ms: Floats
    ac_ms: Floats
    n_dc: Ints
    n_ac: Ints


def capacities(nn: NnRows) -> Capacities:
    """Deceleration and acceleration capacity, T = 1, s = 2.

    Returns
    -------
    Capacities
        Means of (NN_i + NN_i+1 - NN_i-1 - NN_i-2) / 4 over the anchors: 1 < NN_i / NN_i-1 <=
        1.05 for DC, 0.95 <= ratio < 1 for AC, all four intervals adjacent and measured.

    Notes
    -----
    Source: Bauer et al. (2006), Lancet 367:1674.
    Checked against: ``tests/features/test_hrv.py`` (golden values).
    """
    spec = 1 + _LARGEST_CHANGE, 1 - _LARGEST_CHANGE, FEWEST_ANCHORS
    by_loop = loops.capacities(nn, spec)
    if by_loop is not None:
        dc, ac, n_dc, n_ac = by_loop
        return Capacities(dc, ac, n_dc.astype(np.int64), n_ac.astype(np.int64))
    x = nn.nn_ms
    four = np.flatnonzero(nn.stepped[1:-2] & nn.stepped[2:-1] & nn.stepped[3:]) + 2
    change = x[four] / x[four - 1]
    slope = (x[four] + x[four + 1] - x[four - 1] - x[four - 2]) / 4.0
    row = nn.row[four]
    n_dc, dc = _mean_of(slope, row, (change > 1) & (change <= 1 + _LARGEST_CHANGE), nn.n_rows)
    n_ac, ac = _mean_of(slope, row, (change < 1) & (change >= 1 - _LARGEST_CHANGE), nn.n_rows)
    return Capacities(dc, ac, n_dc, n_ac)


def _mean_of(slope: Floats, row: Ints, anchor: Bools, n_rows: int) -> tuple[Ints, Floats]:
    """Number of anchors and mean slope at them; NaN for fewer than 20."""
    n, mean = row_means(slope[anchor], row[anchor], n_rows)
    return n, np.where(n >= FEWEST_ANCHORS, mean, np.nan)
