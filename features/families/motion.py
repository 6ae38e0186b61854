"""Movement from the epochs of three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.beat_windows import LEAST_COVERAGE, Column
from features.families.table import Columns, Row, look_up
from features.gather import lost_to
from features.intervals import row_sums
from features.layout import SEGMENT_NUMBERS
from features.signals import MOTION, SignalKind

_NUMBERS: Final = SEGMENT_NUMBERS[SignalKind.MOTION]
_ENMO, _N = _NUMBERS.index("enmo_mg"), _NUMBERS.index("n")


def columns(rows: Sequence[Row]) -> Columns:
    """Movement in 60-s windows."""
    table, segments, support = look_up(rows, [MOTION])
    inside = segments.ok & (segments.start_us >= table.start_us[segments.row])
    row, n_rows = segments.row[inside], len(rows)
    weight = segments.stats[inside, _N].astype(np.float64)
    n = row_sums(weight, row, n_rows)
    total = row_sums(segments.stats[inside, _ENMO] * weight, row, n_rows)
    reason = lost_to(table, support, (n > 0) & (support.usable >= LEAST_COVERAGE))
    value = total / np.maximum(n, 1)
    return {
        "acc_enmo_mg": Column(value, support.quality, support.usable, n.astype(np.int64), reason)
    }
