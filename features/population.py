"""What is usual in people: the baseline of someone of whom nothing is known yet.

Levels are of adults at rest by day, widened between persons for the sick and the old: a baseline
that begins too narrow calls every unusual person ill. Not here: the person (`features.baseline`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.intervals import Floats

N_COEFFICIENTS: Final = 6  # level, lift when active, cosine and sine of 24 h and of 12 h


class Usual(NamedTuple):
    """One tracked feature. Units of the feature; of its natural logarithm if `logarithmic`."""

    feature: str  # name in the catalogue
    stem: str  # of its z, baseline and CUSUM
    unit: str  # as names end
    level: float
    level_sd: float  # between persons
    lift: float  # when active
    lift_sd: float
    swing: float  # half the daily range; negative where the night is higher
    swing_sd: float
    scatter: float  # within a person, around all that
    resolution: float  # the scatter is never below
    logarithmic: bool
    lo: float  # the feature's declared range, which the centre keeps
    hi: float
    source: str


_QUER = "Quer et al. (2020), PLoS One 15:e0227709: 65.5 ± 7.7/min; widened for patients"
_NATARAJAN = "Natarajan et al. (2021), npj Digit Med 4:136; widened for patients"

# THE table of tracked features, in the order of the state.
USUAL: Final = (
    Usual("ecg_hr_bpm", "ecg_hr", "bpm", 74, 13, 15, 8, 5, 4, 6, 1.0, False, 10, 350, _QUER),
    Usual(
        "ppg_pulse_rate_bpm",
        "ppg_pulse_rate",
        "bpm",
        74,
        13,
        15,
        8,
        5,
        4,
        6,
        1.0,
        False,
        10,
        350,
        _QUER,
    ),
    Usual("hr_mean_bpm", "hr_mean", "bpm", 74, 13, 15, 8, 5, 4, 6, 1.0, False, 10, 350, _QUER),
    Usual(
        "ecg_rmssd_ms",
        "ecg_rmssd",
        "ms",
        3.4,
        0.55,
        -0.2,
        0.3,
        -0.15,
        0.2,
        0.3,
        0.05,
        True,
        0,
        5800,
        "Nunan et al. (2010), Pacing Clin Electrophysiol 33:1407: median of means 42 ms; widened",
    ),
    Usual(
        "resp_rate_per_min",
        "resp_rate",
        "per_min",
        16,
        3,
        4,
        3,
        1,
        1,
        2,
        0.5,
        False,
        2,
        90,
        _NATARAJAN,
    ),
    Usual(
        "spo2_mean_pct",
        "spo2_mean",
        "pct",
        96.5,
        1.8,
        0,
        0.7,
        0.3,
        0.5,
        0.9,
        0.5,
        False,
        50,
        100,
        "Natarajan et al. (2021), npj Digit Med 4:136; own scatter of oximeters, 2 % Arms",
    ),
    Usual(
        "temp_mean_c",
        "temp_mean",
        "c",
        35,
        2,
        0,
        0.5,
        0,
        0.7,
        0.45,
        0.1,
        False,
        15,
        45,
        "own: wide enough for skin (33) and core (37 °C), which share the signal's name",
    ),
    Usual(
        "ppg_pat_ms",
        "ppg_pat",
        "ms",
        260,
        60,
        -10,
        10,
        -5,
        8,
        12,
        2.0,
        False,
        0,
        2000,
        "own: within-person trend only, the offset depends on the device and the site",
    ),
)
TRACKED: Final = tuple(usual.feature for usual in USUAL)
# Quietest at about half past three, as heart rate is.
_LOWEST_H: Final = 3.5
_SECOND_HARMONIC: Final = 0.5  # its spread, in those of the first


class Population(NamedTuple):
    """The table as arrays over the F features."""

    mean: Floats  # (F, 6)
    spread: Floats  # (F, 6) standard deviation between persons
    scatter: Floats  # (F,)
    resolution: Floats  # (F,)
    logarithmic: NDArray[np.bool_]  # (F,)
    lo: Floats  # (F,)
    hi: Floats  # (F,)


def _population() -> Population:
    """`USUAL` as arrays."""
    phase = 2.0 * np.pi * _LOWEST_H / 24.0
    mean = [
        [u.level, u.lift, -u.swing * np.cos(phase), -u.swing * np.sin(phase), 0.0, 0.0]
        for u in USUAL
    ]
    spread = [
        [u.level_sd, u.lift_sd] + [u.swing_sd] * 2 + [_SECOND_HARMONIC * u.swing_sd] * 2
        for u in USUAL
    ]
    return Population(
        np.array(mean),
        np.array(spread),
        np.array([u.scatter for u in USUAL]),
        np.array([u.resolution for u in USUAL]),
        np.array([u.logarithmic for u in USUAL]),
        np.array([u.lo for u in USUAL], np.float64),
        np.array([u.hi for u in USUAL], np.float64),
    )


POPULATION: Final = _population()
