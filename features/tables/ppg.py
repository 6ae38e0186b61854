"""Catalogue rows of the pulse wave."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_RATE_MIN: Final = "5 intervals, coverage 0.5: 20 would hide a heart slower than 40/min"
FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "ppg_pulse_rate_bpm",
        "ppg.pulse_rate/2",
        "1/min",
        "ppg",
        ("60s",),
        _RATE_MIN,
        10,
        350,
        "Pulse rate (PPG)",
        "60000 / mean interval between adjacent pulses, normal or ectopic",
        "Elgendi 2013",
    ),
)
