"""Catalogue rows of the personal baseline."""

from __future__ import annotations

from typing import Final

from features.feature import Feature
from features.population import USUAL, Usual

_PAGE: Final = "Page (1954), Biometrika 41:100; k 0.5, limit 5"
_WINDOW: Final = {"ecg_rmssd_ms": ("300s",)}
_UNIT: Final = {"bpm": "1/min", "per_min": "1/min", "pct": "%", "c": "Cel", "ms": "ms"}
_LABEL: Final = {
    "ecg_hr": "Heart rate (ECG)",
    "ppg_pulse_rate": "Pulse rate (PPG)",
    "hr_mean": "Heart rate (device)",
    "ecg_rmssd": "RMSSD",
    "resp_rate": "Respiration rate",
    "spo2_mean": "SpO2",
    "temp_mean": "Temperature",
    "ppg_pat": "Pulse arrival time",
}


def _rows(usual: Usual) -> tuple[Feature, ...]:
    """Deviation, baseline and the two sums of one tracked feature."""
    signal = usual.stem.split("_", maxsplit=1)[0]
    windows = _WINDOW.get(usual.feature, ("60s",))
    minimum = f"a value of {usual.feature}"
    label = _LABEL[usual.stem]
    of = f"{usual.feature}, at this hour, at rest or active"
    scale = "logarithm of " if usual.logarithmic else ""
    plan = (
        ("z", "1", -50, 50, "deviation", f"({scale}value - usual) / scatter of {of}", usual.source),
        (
            f"baseline_{usual.unit}",
            _UNIT[usual.unit],
            usual.lo,
            usual.hi,
            "usual",
            f"the person's usual {of}",
            usual.source,
        ),
        ("cusum_up", "1", 0, 10, "lasting rise", "sum of z - 0.5 per hour, not below 0", _PAGE),
        ("cusum_down", "1", 0, 10, "lasting fall", "sum of -z - 0.5 per hour, not below 0", _PAGE),
    )
    return tuple(
        Feature(
            f"{usual.stem}_{name}",
            f"baseline.{usual.stem}.{name.split('_')[0] if 'baseline' in name else name}/1",
            unit,
            signal,
            windows,
            minimum,
            lo,
            hi,
            f"{label}, {what}",
            definition,
            source,
        )
        for name, unit, lo, hi, what, definition, source in plan
    )


FEATURES: Final[tuple[Feature, ...]] = (
    *(row for usual in USUAL for row in _rows(usual)),
    Feature(
        "temp_circ_resid_c",
        "baseline.temp_circ_resid/1",
        "Cel",
        "temp",
        ("60s",),
        "a value of temp_mean_c",
        -30,
        30,
        "Temperature off its daily course",
        "temperature less the person's usual one at this hour",
        "own",
    ),
    Feature(
        "night_signal",
        "baseline.night_signal/1",
        "1",
        "ecg",
        ("86400s",),
        "this night and five earlier ones of the last 28",
        0,
        2,
        "NightSignal",
        "1 (2): resting heart rate 3 (4) /min above the person's median on two nights running",
        "Alavi et al. (2022), Nat Med 28:175",
    ),
)
