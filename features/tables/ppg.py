"""The pulse wave's features. Beat rates and HRV from the ECG are elsewhere."""

from __future__ import annotations

from typing import Final

from features.feature import Feature

_TASK_FORCE: Final = "Task Force of the ESC and NASPE (1996), Circulation 93:1043"
_ALLEN: Final = "Allen (2007), Physiol Meas 28:R1"
_SHAPE: Final = "5 pulses, coverage 0.5"
_VARIABILITY: Final = "100 intervals, coverage 0.5, at most 20 % artefacts"
_PAIRS: Final = "10 pairs, coverage 0.5, ECG and PPG on one clock"
_FLOAT_LIMIT: Final = 3e30  # no sample is taken beyond 1e30

# Ranges follow from intervals of 200..6000 ms and from the limits of the search.
FEATURES: Final[tuple[Feature, ...]] = (
    Feature(
        "ppg_pulse_amp_au",
        "ppg.pulse_amp/1",
        "1",
        "ppg",
        ("60s",),
        _SHAPE,
        0,
        _FLOAT_LIMIT,
        "Pulse amplitude",
        "median over pulses of the raw wave at the systolic peak less at the onset",
        _ALLEN,
    ),
    Feature(
        "ppg_rise_time_ms",
        "ppg.rise_time/1",
        "ms",
        "ppg",
        ("60s",),
        _SHAPE,
        0,
        20_000,
        "Rise time of the pulse",
        "median over pulses of the time from onset to systolic peak of the 0.5-8 Hz wave",
        _ALLEN,
    ),
    Feature(
        "ppg_perfusion_pct",
        "ppg.perfusion/1",
        "%",
        "ppg",
        ("60s",),
        _SHAPE + ", a wave with a steady part",
        0,
        50,
        "Perfusion index",
        "100 * pulse amplitude / |median of the raw wave|; undefined above 50 %",
        _ALLEN,
    ),
    Feature(
        "ppg_pat_ms",
        "ppg.pat/1",
        "ms",
        "ppg",
        ("60s",),
        _PAIRS,
        80,
        800,
        "Pulse arrival time",
        "median time from the R peak to the steepest upslope; a trend, never a pressure",
        "Mukkamala et al. (2015), IEEE Trans Biomed Eng 62:1879",
    ),
    Feature(
        "ppg_pat_iqr_ms",
        "ppg.pat_iqr/1",
        "ms",
        "ppg",
        ("60s",),
        _PAIRS,
        0,
        100,
        "Spread of the pulse arrival time",
        "quartile range of the times of ppg_pat_ms",
        "Mukkamala et al. (2015), IEEE Trans Biomed Eng 62:1879",
    ),
    Feature(
        "ppg_pr_minus_hr_bpm",
        "ppg.pr_minus_hr/1",
        "1/min",
        "ppg",
        ("60s",),
        "pulse rate and heart rate both have a value",
        -340,
        340,
        "Pulse rate less heart rate",
        "ppg_pulse_rate_bpm - ecg_hr_bpm; below 0: a pulse deficit",
        "definition",
    ),
    Feature(
        "ppg_track_rate_bpm",
        "ppg.track_rate/1",
        "1/min",
        "ppg",
        ("60s",),
        "half of the segments recorded, an accelerometer, confidence 0.4",
        30,
        240,
        "Pulse rate (spectrum)",
        "mean rate on the best path through the spectral peaks of 10-s segments, cadence removed",
        "after Temko (2017), IEEE Trans Biomed Eng 64:2016",
    ),
    Feature(
        "ppg_rmssd_ms",
        "ppg.rmssd/1",
        "ms",
        "ppg",
        ("300s",),
        _VARIABILITY,
        0,
        5800,
        "RMSSD of pulse intervals",
        "root mean square of differences of adjacent normal pulse intervals; not the ECG's",
        _TASK_FORCE,
    ),
    Feature(
        "ppg_sdnn_ms",
        "ppg.sdnn/1",
        "ms",
        "ppg",
        ("300s",),
        _VARIABILITY,
        0,
        4200,
        "SDNN of pulse intervals",
        "standard deviation of normal pulse intervals, ddof 1; not the ECG's",
        _TASK_FORCE,
    ),
)
