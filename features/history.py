"""What five minutes leave behind for the hour and the day: where each number stands.

Not here: what is made of them (`features.families.hours`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from features.daily_life import SOURCES
from features.motion.day import N_ROW
from features.oximetry import ROW_NUMBERS
from features.variability.long_term import HISTORY_COLUMNS, HOUR_COLUMNS

FIVE_MINUTES_US: Final = 300_000_000
HOUR_US: Final = 3_600_000_000
N_FIVE: Final = 12  # rows of an hour
N_DAY: Final = 288  # rows of a day


class Layout(NamedTuple):
    """Columns of a table, part by part."""

    n: int
    parts: dict[str, slice]


def _laid_out(**widths: int) -> Layout:
    parts, at = {}, 0
    for name, width in widths.items():
        parts[name] = slice(at, at + width)
        at += width
    return Layout(at, parts)


HOUR_ROW: Final = _laid_out(
    saturation=len(ROW_NUMBERS),
    motion=N_ROW,
    temperature=1,
    daily_life=len(SOURCES),
    ecg=len(HISTORY_COLUMNS),
    device=len(HISTORY_COLUMNS),
)
N_HOURS: Final = 24
DAY_ROW: Final = _laid_out(ecg=len(HOUR_COLUMNS), device=len(HOUR_COLUMNS))
# Features of 300-s windows that a day takes the median of.
DAY_FEATURES: Final = ("ecg_hr_bpm", "ecg_rmssd_ms", "acc_sleep")
