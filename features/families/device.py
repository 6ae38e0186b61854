"""Means of the numbers a device works out itself and sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.column import Column
from features.families.table import Columns, Row, look_up, split
from features.gather import events_of, lost_to
from features.intervals import row_sums
from features.tables.device import FEATURES

_MEANS: Final = {feature.name: feature.signal for feature in FEATURES}
_SHORTEST_MEAN_US: Final = 9_999_000  # 10 s, less what rounding of sample times may cost


def columns(rows: Sequence[Row]) -> Columns:
    """Means over windows with at least 10 s of valid samples."""
    table, segments, support, _ = look_up(rows, list(_MEANS.values()))
    events = events_of(segments)
    inside = events.times_us >= table.start_us[events.row]
    inside &= events.times_us < table.end_us[events.row]
    row, n_rows = events.row[inside], table.start_us.size
    n = np.bincount(row, minlength=n_rows)
    total = row_sums(events.values[inside], row, n_rows)
    usable_us = support.usable * (table.end_us - table.start_us)
    reason = lost_to(table, support, (n > 0) & (usable_us >= _SHORTEST_MEAN_US))
    column = Column(total / np.maximum(n, 1), support.quality, support.usable, n, reason)
    return split(column, list(_MEANS))
