"""Catalogue rows of intervals that a device works out itself: those of the ECG, renamed."""

from __future__ import annotations

from typing import Final

from features.feature import Feature
from features.tables import hrv

_SIGNAL: Final = "rr_interval"


def device_name(name: str) -> str:
    """Name of a feature of the ECG's intervals when a device sent the intervals.

    Examples
    --------
    >>> device_name("ecg_rmssd_ms")
    'rr_rmssd_ms'
    """
    return "rr_" + name.removeprefix("ecg_")


FEATURES: Final[tuple[Feature, ...]] = tuple(
    feature._replace(
        name=device_name(feature.name),
        id=f"device_{feature.id}",
        signal=_SIGNAL,
        label=f"{feature.label} (device intervals)",
        definition=f"as {feature.name}, of the intervals the device sends",
    )
    for feature in hrv.FEATURES
)
