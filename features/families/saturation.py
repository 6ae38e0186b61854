"""Oxygen saturation over a minute, five minutes and an hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from features.families.table import Columns, Row, all_explained, look_up
from features.gather import dense
from features.intervals import Floats
from features.oximetry import LEAD_S, level_columns, saturation_row

_SMOOTHED_S: Final = 10  # of lead: a median of three reaches two seconds back


def columns(rows: Sequence[Row]) -> Columns:
    """Levels in windows of one length."""
    found = look_up(rows, ["spo2"], _SMOOTHED_S * 1_000_000)
    seconds = dense(found.rows, found.segments, _SMOOTHED_S * 1_000_000)
    length_s = rows[0][1].end_us // 1_000_000 - rows[0][1].start_us // 1_000_000
    flat = seconds.reshape(len(rows), -1)
    return all_explained(found, level_columns(flat, length_s, found.support.quality))


def numbers(rows: Sequence[Row]) -> Floats:
    """What an hour needs of each 300-s window."""
    found = look_up(rows, ["spo2"], LEAD_S * 1_000_000)
    seconds = dense(found.rows, found.segments, LEAD_S * 1_000_000)
    return saturation_row(seconds.reshape(len(rows), -1))
