"""Catalogue rows of numbers that devices work out themselves and send."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "hr_mean_bpm",
        "hr.mean/1",
        "1/min",
        "hr",
        ("60s", "300s"),
        "10 s of valid samples",
        0,
        400,
        "Heart rate (device)",
        "mean of valid samples",
        "own",
    ),
    Feature(
        "pulse_mean_bpm",
        "pulse.mean/1",
        "1/min",
        "pulse",
        ("60s",),
        "10 s of valid samples",
        0,
        400,
        "Pulse rate (device)",
        "mean of valid samples",
        "own",
    ),
    Feature(
        "resp_device_per_min",
        "resp_rate.mean/1",
        "1/min",
        "resp_rate",
        ("60s",),
        "10 s of valid samples",
        0,
        150,
        "Respiration rate (device)",
        "mean of valid samples",
        "own",
    ),
)
