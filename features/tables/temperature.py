"""Catalogue rows of temperature."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "temp_mean_c",
        "temp.median/1",
        "Cel",
        "temp",
        ("60s", "300s"),
        "10 s of values of 15-45 °C",
        15,
        45,
        "Temperature",
        "median of 10 s medians",
        "own",
    ),
    Feature(
        "temp_slope_c_per_h",
        "temp.slope/1",
        "Cel/h",
        "temp",
        ("3600s",),
        "six of twelve 5 min medians",
        -360,
        360,
        "Temperature, trend",
        "least-squares slope of twelve 5 min medians",
        "own",
    ),
)
