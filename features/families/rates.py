"""Pulse rate from the PPG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.beat_intervals import inside
from features.beat_windows import found_beats, intervals_of, standing_of
from features.beats import PPG_REFRACTORY_S
from features.families.table import Columns, Row, look_up
from features.hrv_windows import rate
from streams.segments import SEGMENT_US

_REFRACTORY_US: Final = round(PPG_REFRACTORY_S * 1e6)


def columns(rows: Sequence[Row]) -> Columns:
    """Rate of 60-s windows."""
    found = look_up(rows, ["ppg"], SEGMENT_US)
    beats = found_beats(found.rows, found.segments, np.full(len(rows), _REFRACTORY_US))
    sinus = np.zeros(beats.run.size, np.bool_)
    intervals = inside(intervals_of(found.rows, beats, sinus))
    return {"ppg_pulse_rate_bpm": rate(standing_of(found.rows, found.support), intervals)}
