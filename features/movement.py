"""Movement from a three-axis accelerometer.

Not here: steps, posture, whether the device is worn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.beat_windows import LEAST_COVERAGE, Column
from features.catalog import FeatureReason
from features.gather import Rows, events_of, lost_to, segments_of, support_of
from features.intervals import Floats, row_sums
from features.primitives import Primitives

AXES: Final = ("acc_x", "acc_y", "acc_z")


def enmo_mg(x_g: Floats, y_g: Floats, z_g: Floats) -> Floats:
    """Euclidean norm minus one, negative values as 0, of each sample.

    Parameters
    ----------
    x_g, y_g, z_g : (n_samples,) float64
        Acceleration in g; NaN where missing.

    Returns
    -------
    (n_samples,) float64
        Milli-g, at least 0.

    Notes
    -----
    Source: van Hees et al. (2013), PLoS One 8:e61691.

    Examples
    --------
    >>> enmo_mg(np.array([0.0, 0.6]), np.array([0.0, 0.0]), np.array([1.5, 0.8])).tolist()
    [500.0, 0.0]
    """
    norm = np.sqrt(x_g**2 + y_g**2 + z_g**2)
    return np.asarray(1000.0 * np.maximum(norm - 1.0, 0.0), np.float64)


def movement_column(rows: Rows, groups: Sequence[Sequence[tuple[Primitives, ...]]]) -> Column:
    """Mean ENMO of each row from segments of three axes, where all three have a sample.

    Parameters
    ----------
    rows : Rows
        B windows.
    groups : sequence of sequence of (x, y, z), length B
        As `Rings.axes` gives them.

    Returns
    -------
    Column
        (B,) each; at least half of the window covered.
    """
    segments = segments_of([[_combined(axes) for axes in own] for own in groups])
    support = support_of(rows, segments)
    events = events_of(segments)
    inside = events.times_us >= rows.start_us[events.row]
    inside &= events.times_us < rows.end_us[events.row]
    row, n_rows = events.row[inside], rows.start_us.size
    n = np.bincount(row, minlength=n_rows)
    total = row_sums(events.values[inside], row, n_rows)
    reason = lost_to(rows, support, (n > 0) & (support.usable >= LEAST_COVERAGE))
    return Column(total / np.maximum(n, 1), support.quality, support.usable, n, reason)


def _combined(axes: tuple[Primitives, ...]) -> Primitives:
    """One segment of ENMO samples from a segment of each axis."""
    x, y, z = axes
    failed = [p.reason for p in axes if p.reason != FeatureReason.OK]
    if failed:
        return x._replace(reason=failed[0])
    coverage, quality = min(p.coverage for p in axes), min(p.quality for p in axes)
    same = np.array_equal(x.times_us, y.times_us) and np.array_equal(x.times_us, z.times_us)
    if same:
        return x._replace(
            coverage=coverage, quality=quality, values=enmo_mg(x.values, y.values, z.values)
        )
    both, of_x, of_y = np.intersect1d(x.times_us, y.times_us, return_indices=True)
    all_three, of_both, of_z = np.intersect1d(both, z.times_us, return_indices=True)
    share = all_three.size / max(x.times_us.size, 1)
    values = enmo_mg(x.values[of_x[of_both]], y.values[of_y[of_both]], z.values[of_z])
    return x._replace(
        coverage=coverage * share,
        quality=quality,
        times_us=all_three,
        values=values,
        run=np.zeros(all_three.size, np.int16),
    )
