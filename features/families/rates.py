"""Heart rate from the ECG and pulse rate from the PPG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.beat_windows import intervals_in, rate_column
from features.beats import ECG_REFRACTORY_S, PPG_REFRACTORY_S
from features.families.table import Columns, Row, look_up
from streams.segments import SEGMENT_US

_RATES: Final = {
    "ecg_hr_bpm": ("ecg", round(ECG_REFRACTORY_S * 1e6)),
    "ppg_pulse_rate_bpm": ("ppg", round(PPG_REFRACTORY_S * 1e6)),
}


def columns(rows: Sequence[Row]) -> Columns:
    """Rates of 60-s windows."""
    out: Columns = {}
    for name, (signal, refractory_us) in _RATES.items():
        found = look_up(rows, [signal], SEGMENT_US)
        refractory = np.full(len(rows), refractory_us)
        intervals = intervals_in(found.rows, found.segments, refractory)
        out[name] = rate_column(found.rows, found.support, intervals)
    return out
