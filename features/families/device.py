"""Means of the numbers a device works out itself and sends, by the second or every few minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.column import Column
from features.families.table import Columns, Row, look_up, split
from features.gather import events_of, lost_to
from features.intervals import row_sums
from features.tables.daily_life import MEANS
from features.tables.device import FEATURES

_RATES: Final = {feature.name: feature.signal for feature in FEATURES}
_LONG_RATES: Final = {f.name: f.signal for f in FEATURES if "300s" in f.windows}
_DAILY_LIFE: Final = {feature.name: feature.signal for feature in MEANS}
_SHORTEST_MEAN_US: Final = 9_999_000  # 10 s, less what rounding of sample times may cost


def columns(rows: Sequence[Row]) -> Columns:
    """Means of rates over windows with at least 10 s of valid samples."""
    return _means(rows, _RATES)


def long_columns(rows: Sequence[Row]) -> Columns:
    """The same over five minutes: a watch that speaks so often is known too late for a minute."""
    return _means(rows, _LONG_RATES)


def daily_life(rows: Sequence[Row]) -> Columns:
    """Means of what comes every few minutes: one reading is enough."""
    made = _means(rows, _DAILY_LIFE)
    share = made["asleep_pct"]
    return made | {"asleep_pct": share._replace(value=100.0 * share.value)}


def _means(rows: Sequence[Row], signals: dict[str, str]) -> Columns:
    """Mean of each signal by the name of its feature."""
    table, segments, support, _ = look_up(rows, list(signals.values()))
    events = events_of(segments)
    inside = events.times_us >= table.start_us[events.row]
    inside &= events.times_us < table.end_us[events.row]
    row, n_rows = events.row[inside], table.start_us.size
    n = np.bincount(row, minlength=n_rows)
    total = row_sums(events.values[inside], row, n_rows)
    usable_us = support.usable * (table.end_us - table.start_us)
    reason = lost_to(table, support, (n > 0) & (usable_us >= _SHORTEST_MEAN_US))
    column = Column(total / np.maximum(n, 1), support.quality, support.usable, n, reason)
    return split(column, list(signals))
