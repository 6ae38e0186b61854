"""Catalogue rows on the heart beat: rate, variability, rhythm, from 60 s to a day."""

from __future__ import annotations

from typing import Final

from features.feature import Feature
from features.tables import hrv_dynamics, hrv_long, hrv_time

FEATURES: Final[tuple[Feature, ...]] = (
    *hrv_time.FEATURES,
    *hrv_dynamics.FEATURES,
    *hrv_long.FEATURES,
)
