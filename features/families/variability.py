"""Heart rate variability from the ECG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.beat_windows import hrv_columns, intervals_in
from features.beats import ECG_REFRACTORY_S
from features.families.table import Columns, Row, look_up
from streams.segments import SEGMENT_US


def columns(rows: Sequence[Row]) -> Columns:
    """Variability in 300-s windows."""
    found = look_up(rows, ["ecg"], SEGMENT_US)
    refractory_us = np.full(len(rows), round(ECG_REFRACTORY_S * 1e6))
    intervals = intervals_in(found.rows, found.segments, refractory_us)
    return hrv_columns(found.rows, found.support, intervals)
