"""Catalogue rows of what sensors and watches report every few minutes: glucose, steps, sleep."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_READING: Final = "a reading; an hour: one of twelve 5 min means"
_MEAN: Final = "mean of valid readings; of an hour that of twelve 5 min means"
_CONSENSUS: Final = "Battelino et al. 2019, Diabetes Care 42:1593"

MEANS: Final[tuple[Feature, ...]] = (
    Feature(
        "glucose_mean_mmol_per_l",
        "glucose.mean/1",
        "mmol/L",
        "glucose",
        ("60s", "300s", "3600s"),
        _READING,
        0.5,
        60,
        "Glucose (sensor)",
        _MEAN,
        "own",
    ),
    Feature(
        "step_rate_per_min",
        "step_rate.mean/1",
        "1/min",
        "step_rate",
        ("60s", "300s", "3600s"),
        _READING,
        0,
        400,
        "Steps (device)",
        _MEAN + "; a device's epoch of 15 min stands in its last minute",
        "own",
    ),
    Feature(
        "asleep_pct",
        "asleep.mean/1",
        "%",
        "asleep",
        ("60s", "300s", "3600s"),
        _READING,
        0,
        100,
        "Sleep (device)",
        "share of valid readings that say asleep; of an hour the mean of twelve 5 min shares",
        "own",
    ),
)

FEATURES: Final[tuple[Feature, ...]] = (
    *MEANS,
    Feature(
        "glucose_slope_mmol_per_l_per_h",
        "glucose.slope/1",
        "mmol/L/h",
        "glucose",
        ("3600s",),
        "three of twelve 5 min means, half an hour apart",
        -720,
        720,
        "Glucose, trend",
        "least-squares slope of twelve 5 min means",
        "own",
    ),
    Feature(
        "glucose_low_pct",
        "glucose.low/1",
        "%",
        "glucose",
        ("3600s",),
        "three of twelve 5 min means, half an hour apart",
        0,
        100,
        "Time with low glucose",
        "share of the known 5 min means below 3.9 mmol/L",
        _CONSENSUS,
    ),
)
