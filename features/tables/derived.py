"""Catalogue rows of what several signals say together."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "shock_index",
        "derived.shock_index/1",
        "1",
        "hr",
        ("60s",),
        "heart rate, systolic pressure of the last 4 h",
        0,
        12,
        "Shock index",
        "heart rate / systolic pressure",
        "Allgöwer and Burri (1967), Dtsch Med Wochenschr 92:1947",
    ),
    Feature(
        "hros",
        "derived.hros/1",
        "1",
        "hr",
        ("60s",),
        "heart rate and steps",
        0,
        400,
        "Heart rate over steps",
        "heart rate / (steps per minute + 1)",
        "after Mishra et al. (2020), Nat Biomed Eng 4:1208",
    ),
    Feature(
        "hr_unexplained_bpm",
        "derived.hr_unexplained/1",
        "1/min",
        "hr",
        ("60s",),
        "heart rate and movement",
        -340,
        340,
        "Heart rate not explained by movement",
        "heart rate less the person's own rate at the movement of the last minutes; memory 5 h",
        "own",
    ),
)
