"""Catalogue rows: what only a day of heart beats can tell."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_TASK_FORCE: Final = "Task Force of the ESC and NASPE (1996), Circulation 93:1043"
_ISHNE: Final = "Bauer et al. (2008), J Am Coll Cardiol 52:1353"
_NELSON: Final = "Nelson et al. (1979), Chronobiologia 6:305"
_DAY_MIN: Final = "18 of 24 h covered"
_PVC_MIN: Final = "5 isolated premature beats, 18 of 24 h covered"
_HOURS_MIN: Final = "18 hours with a rate"
_DAY: Final = ("86400s",)

# Ranges follow from those of single windows; the cosinor may reach beyond hours it has.
FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "ecg_sdann_ms",
        "hrv.sdann/1",
        "ms",
        "ecg",
        _DAY,
        _DAY_MIN,
        0,
        4200,
        "SDANN",
        "SD of the mean NN of 300-s windows, ddof 1",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_sdnni_ms",
        "hrv.sdnni/1",
        "ms",
        "ecg",
        _DAY,
        _DAY_MIN,
        0,
        4200,
        "SDNN index",
        "mean SDNN of 300-s windows",
        _TASK_FORCE,
    ),
    Feature(
        "ecg_hrt_to_pct",
        "hrt.to/1",
        "%",
        "ecg",
        _DAY,
        _PVC_MIN,
        -60,
        60,
        "Turbulence onset",
        "mean relative change of two intervals after a premature beat to two before",
        _ISHNE,
    ),
    Feature(
        "ecg_hrt_ts_ms_per_beat",
        "hrt.ts/1",
        "ms/beat",
        "ecg",
        _DAY,
        _PVC_MIN,
        -400,
        400,
        "Turbulence slope",
        "steepest rise of 5 intervals of the mean tachogram after premature beats",
        _ISHNE,
    ),
    Feature(
        "ecg_circ_mesor_bpm",
        "circ.hr_mesor/1",
        "1/min",
        "ecg",
        _DAY,
        _HOURS_MIN,
        -400,
        800,
        "Daily mean rate",
        "cosinor of 24 h on hourly medians of the rate",
        _NELSON,
    ),
    Feature(
        "ecg_circ_amp_bpm",
        "circ.hr_amp/1",
        "1/min",
        "ecg",
        _DAY,
        _HOURS_MIN,
        0,
        800,
        "Daily swing of the rate",
        "amplitude of the cosinor",
        _NELSON,
    ),
    Feature(
        "ecg_circ_phase_h",
        "circ.hr_phase/1",
        "h",
        "ecg",
        _DAY,
        _HOURS_MIN,
        0,
        24,
        "Time of the highest rate",
        "phase of the cosinor, hours after midnight UTC",
        _NELSON,
    ),
)
