"""What a signal's buffer keeps, which follows from its rate: one object for all patients."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

from streams.epochs import EPOCH_TOLERANCE_US
from streams.segments import SEGMENT_US

_MOST_REACH_US: Final = 1e6  # a sample of a slow signal says nothing of the minutes until the next


class Limits(NamedTuple):
    """What follows from a signal's rate: the same object for all patients."""

    interval_us: int  # between two samples
    reach_us: float  # how far beyond its last sample a chunk reaches
    length: int  # samples of a segment
    capacity: int  # samples that may be kept
    margin: int  # samples kept below what is needed: an epoch moved by its jitter may need them


@lru_cache(maxsize=256)
def limits_of(fs_hz: float, context_us: int, capacity_us: int) -> Limits:
    """Limits of a signal with so much context around a segment, kept for so long."""
    return Limits(
        round(1e6 / fs_hz),
        min(1e6 / fs_hz, _MOST_REACH_US),
        max(1, round((SEGMENT_US + 2 * context_us) * fs_hz / 1e6)),
        max(64, math.ceil(capacity_us * fs_hz / 1e6)),
        math.ceil(EPOCH_TOLERANCE_US * fs_hz / 1e6) + 1,
    )
