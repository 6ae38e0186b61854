"""THE table of features: name, unit, source, windows, minimum, range, definition.

Extraction, models, reports and documentation read it; nothing else lists features. The rows stand
in `features.tables`, one file a family. Its hash names it in every artifact and run.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from features.feature import Feature, FeatureReason
from features.tables import (
    baseline,
    daily_life,
    derived,
    device,
    ecg_quality,
    electrodermal,
    hrv,
    hrv_device,
    motion,
    oximetry,
    ppg,
    respiration,
    spectra,
    temperature,
)

__all__ = ["CATALOG", "INDEX", "Feature", "FeatureReason", "catalog_hash"]

CATALOG: tuple[Feature, ...] = (
    *hrv.FEATURES,
    *hrv_device.FEATURES,
    *ecg_quality.FEATURES,
    *ppg.FEATURES,
    *respiration.FEATURES,
    *device.FEATURES,
    *oximetry.FEATURES,
    *temperature.FEATURES,
    *electrodermal.FEATURES,
    *motion.FEATURES,
    *derived.FEATURES,
    *baseline.FEATURES,
    *spectra.FEATURES,
    *daily_life.FEATURES,
)

INDEX: dict[str, int] = {feature.name: i for i, feature in enumerate(CATALOG)}


@lru_cache(maxsize=1)
def catalog_hash() -> str:
    """Name of this catalogue: the first 16 hex digits of the SHA-256 of all its fields."""
    return hashlib.sha256(repr(CATALOG).encode()).hexdigest()[:16]
