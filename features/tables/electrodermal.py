"""Catalogue rows of skin conductance."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_HALF: Final = "half of the window, values of 0.05-60 µS"

FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "eda_tonic_us",
        "eda.tonic/1",
        "uS",
        "eda",
        ("60s", "300s"),
        _HALF,
        0.04,
        60,
        "Skin conductance, level",
        "mean of the conductance below 0.05 Hz",
        "Boucsein et al. (2012), Psychophysiology 49:1017",
    ),
    Feature(
        "eda_scr_rate_per_min",
        "eda.scr_rate/1",
        "1/min",
        "eda",
        ("60s", "300s"),
        "half of the window at rest",
        0,
        120,
        "Skin conductance responses",
        "rises of 0.05 µS or more above 0.05 Hz, per minute without movement",
        "Boucsein et al. (2012), Psychophysiology 49:1017",
    ),
)
