"""THE table of features: name, unit, source, windows, minimum, range, definition.

Extraction, models, reports and documentation read it; nothing else lists features. The rows stand
in `features.tables`, one file a family. Its hash names it in every artifact and run.
"""

from __future__ import annotations

import hashlib

from features.feature import Feature, FeatureReason
from features.tables import (
    baseline,
    derived,
    device,
    electrodermal,
    motion,
    oximetry,
    spectra,
    temperature,
)

__all__ = ["CATALOG", "INDEX", "Feature", "FeatureReason", "catalog_hash"]

_TASK_FORCE = "Task Force of the ESC and NASPE (1996), Circulation 93:1043"
_RATE_MIN = "5 intervals, coverage 0.5: 20 would hide a heart slower than 40/min"
_HRV_MIN = "100 NN, coverage 0.5, at most 20 % artefacts"
_SPEC_MIN = "as SDNN, coverage 0.9"

# Ranges follow from NN of 200..6000 ms (`features.intervals`): a value outside is a bug.
_SPINE: tuple[Feature, ...] = (
    Feature(
        "ecg_hr_bpm",
        "hrv.hr_mean/2",
        "1/min",
        "ecg",
        ("60s",),
        _RATE_MIN,
        10,
        350,
        "Heart rate (ECG)",
        "60000 / mean interval between adjacent beats, normal or ectopic",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_sdnn_ms",
        "hrv.sdnn/1",
        "ms",
        "ecg",
        ("300s",),
        _HRV_MIN,
        0,
        4200,
        "SDNN",
        "standard deviation of NN, ddof 1",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_rmssd_ms",
        "hrv.rmssd/1",
        "ms",
        "ecg",
        ("300s",),
        _HRV_MIN,
        0,
        5800,
        "RMSSD",
        "root mean square of differences of adjacent NN",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_pnn50_pct",
        "hrv.pnn50/1",
        "%",
        "ecg",
        ("300s",),
        _HRV_MIN,
        0,
        100,
        "pNN50",
        "100 * share of adjacent NN differing by more than 50 ms",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_lf_ms2",
        "hrv.lf/1",
        "ms2",
        "ecg",
        ("300s",),
        _SPEC_MIN,
        0,
        2e7,
        "LF power",
        "NN power in [0.04, 0.15) Hz: 4 Hz cubic spline, one Hann window; Lomb over holes > 3 s",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_hf_ms2",
        "hrv.hf/1",
        "ms2",
        "ecg",
        ("300s",),
        _SPEC_MIN,
        0,
        2e7,
        "HF power",
        "NN power in [0.15, 0.4) Hz, at most half the heart rate; as LF",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_lf_hf",
        "hrv.lf_hf/1",
        "1",
        "ecg",
        ("300s",),
        _SPEC_MIN,
        0,
        1e6,
        "LF/HF",
        "LF power / HF power",
        _TASK_FORCE,
    ),
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
    Feature(
        "resp_rate_per_min",
        "resp.rate_wave/1",
        "1/min",
        "resp",
        ("60s",),
        "coverage 0.5",
        2,
        90,
        "Respiration rate",
        "rate of breaths in the respiration wave",
        "",
    ),
)

CATALOG: tuple[Feature, ...] = (
    *_SPINE,
    *device.FEATURES,
    *oximetry.FEATURES,
    *temperature.FEATURES,
    *electrodermal.FEATURES,
    *motion.FEATURES,
    *derived.FEATURES,
    *baseline.FEATURES,
    *spectra.FEATURES,
)

INDEX: dict[str, int] = {feature.name: i for i, feature in enumerate(CATALOG)}


def catalog_hash() -> str:
    """Name of this catalogue: the first 16 hex digits of the SHA-256 of all its fields."""
    return hashlib.sha256(repr(CATALOG).encode()).hexdigest()[:16]
