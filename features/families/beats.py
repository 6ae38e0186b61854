"""R peaks and pulses of windows and of the segment before them, found once for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from features.beat_windows import FoundBeats, found_beats
from features.beats import ECG_REFRACTORY_S, PPG_REFRACTORY_S
from features.families.table import Found, Row, look_up, once
from streams.segments import SEGMENT_US

_REFRACTORY_US: Final = {
    "ecg": round(ECG_REFRACTORY_S * 1e6),
    "ppg": round(PPG_REFRACTORY_S * 1e6),
}


class Heard(NamedTuple):
    """Segments of one signal, and the beats in them."""

    found: Found
    beats: FoundBeats


def r_peaks(rows: Sequence[Row]) -> Heard:
    """Of the ECG; as everything shared, to be read only."""
    return once(rows, "r peaks", lambda own: _heard(own, "ecg"))


def pulses(rows: Sequence[Row]) -> Heard:
    """Of the pulse wave, movement not looked at."""
    return once(rows, "pulses", lambda own: _heard(own, "ppg"))


def beats_in(found: Found, signal: str) -> FoundBeats:
    """Beats in the segments of one of the two signals."""
    refractory_us = np.full(found.rows.start_us.size, _REFRACTORY_US[signal])
    return found_beats(found.rows, found.segments, refractory_us)


def _heard(rows: Sequence[Row], signal: str) -> Heard:
    found = look_up(rows, [signal], SEGMENT_US)
    return Heard(found, beats_in(found, signal))
