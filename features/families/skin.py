"""Skin conductance and temperature."""

from __future__ import annotations

from collections.abc import Sequence

from features.electrodermal import LEAD_S, MOVING_MAD_MG, conductance_columns
from features.families.motion import epochs
from features.families.table import Columns, Row, all_explained, look_up
from features.gather import dense
from features.motion.windows import Number
from features.temperature import temperature_column


def temperature(rows: Sequence[Row]) -> Columns:
    """Windows of one length."""
    warm = look_up(rows, ["temp"])
    medians = dense(warm.rows, warm.segments)[:, :, 0]
    return all_explained(warm, {"temp_mean_c": temperature_column(medians, warm.support.quality)})


def conductance(rows: Sequence[Row]) -> Columns:
    """Likewise."""
    found = look_up(rows, ["eda"], LEAD_S * 1_000_000)
    steps = dense(found.rows, found.segments, LEAD_S * 1_000_000).reshape(len(rows), -1)
    moving = epochs(rows)[:, :, Number.MAD_MG] > MOVING_MAD_MG
    return all_explained(found, conductance_columns(steps, moving, found.support.quality))
