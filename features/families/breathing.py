"""Respiration rate from the chest wave, laid on the window's 4 Hz grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.beat_windows import LEAST_COVERAGE
from features.catalog import FeatureReason
from features.column import Column
from features.families.table import Columns, Row, look_up
from features.gather import Rows, events_of, lost_to
from features.intervals import Floats
from features.respiration import WAVE_HZ, breath_rate

_WAVE_STEP_US: Final = round(1e6 / WAVE_HZ)


def columns(rows: Sequence[Row]) -> Columns:
    """Breathing in 60-s windows."""
    table, segments, support = look_up(rows, ["resp"])
    events = events_of(segments)
    length = int((table.end_us - table.start_us).max()) // _WAVE_STEP_US
    wave = np.full((len(rows), length), np.nan)
    since_us = events.times_us - table.start_us[events.row]
    place = (since_us + _WAVE_STEP_US // 2) // _WAVE_STEP_US
    inside = (since_us >= 0) & (place < length) & (events.times_us < table.end_us[events.row])
    wave[events.row[inside], place[inside]] = events.values[inside]
    rate, regular = _breath_rates(wave, table)
    n = np.count_nonzero(~np.isnan(wave), axis=1)
    share = n / np.maximum((table.end_us - table.start_us) // _WAVE_STEP_US, 1)
    reason = lost_to(table, support, share >= LEAST_COVERAGE)
    # A wave without breaths in it: apnoea, or a belt that hangs loose.
    reason[(reason == FeatureReason.OK) & np.isnan(rate)] = FeatureReason.TOO_FEW_BEATS
    quality = np.minimum(regular, support.quality)
    return {"resp_rate_per_min": Column(rate, quality, np.minimum(share, 1.0), n, reason)}


def _breath_rates(wave: Floats, table: Rows) -> tuple[Floats, Floats]:
    """`breath_rate` of rows that hold anything, each at its own window's length."""
    rate, quality = np.full(len(wave), np.nan), np.zeros(len(wave))
    lengths = (table.end_us - table.start_us) // _WAVE_STEP_US
    filled = ~np.isnan(wave).all(axis=1)
    for length in np.unique(lengths[filled]):
        own = np.flatnonzero(filled & (lengths == length))
        rate[own], quality[own] = breath_rate(wave[own, :length], WAVE_HZ)
    return rate, quality
