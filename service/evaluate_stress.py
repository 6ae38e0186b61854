"""Stress-Predict as a cohort: is this minute of a wristband stress or rest.

Inputs are the window's features and how far each lately is from the person's own usual, by sensor.
Most are no concept and no feature of the catalogue (`e4_*`): models of them are judged, not served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.datasets import e4_people, stress_predict
from service.datasets.e4_people import MOTION, POSTURE, SKIN, People
from service.datasets.packed import unpacked
from service.evaluate_data import Cohort, Inputs

Floats = NDArray[np.float64]
CITATION: Final = "Stress-Predict (Iqbal et al. 2022), doi:10.3390/s22218135"
CONCEPT_OF: Final = {"hr": "hr", "resp": "resp_rate"}  # what means the same there
PREFIX: Final = "e4_"
ABOVE: Final = "_above_usual"


def of_stress(path: Path) -> Cohort:
    """Windows of 60 s every 10 s; those of one label alone are judged."""
    with unpacked(path, "stress_predict_e4", stress_predict.LABELS) as folder:
        people = e4_people.load(folder)
    usual = e4_people.above_usual(people)
    first, lengths = np.unique(people.person, return_index=True, return_counts=True)[1:]
    since_s = people.start_s - np.repeat(people.start_s[first], lengths)
    pure = (people.stress_share <= 0) | (people.stress_share >= 1)
    return Cohort(
        name="stress_predict_e4",
        citation=CITATION,
        patients=tuple(f"S{who:02d}" for who in people.person[first].tolist()),
        lengths=lengths.astype(np.int64),
        time_h=since_s / 3600.0,
        label=people.stress_share >= 1,
        judged=pure,
        event_patient=np.zeros(0, np.int64),
        event_h=np.zeros(0),
        inputs={name: _sensor(people, usual, chosen) for name, chosen in _sensors(people)},
        groups={},
        rules={"heart rate over its lowest so far": _above_lowest(people)},
        events=None,
        utility=False,
    )


def _sensors(people: People) -> list[tuple[str, list[int]]]:
    """Columns of each sensor; how the wrist lies is none."""
    pulse = [i for i, name in enumerate(people.names) if name not in (*SKIN, *MOTION)]
    skin = [people.names.index(name) for name in SKIN]
    motion = [people.names.index(name) for name in MOTION if name not in POSTURE]
    return [("pulse", pulse), ("skin", skin), ("motion", motion)]


def _sensor(people: People, usual: Floats, chosen: list[int]) -> Inputs:
    """A sensor's features, then how far each lately is from the person's usual."""
    names = [people.names[i] for i in chosen]
    now = [CONCEPT_OF.get(name, f"{PREFIX}{name}") for name in names]
    above = [f"{PREFIX}{name}{ABOVE}" for name in names]
    value = np.concatenate([people.x[:, chosen], usual[:, chosen]], axis=1)
    return Inputs((*now, *above), value.astype(np.float32), once=False)


def _above_lowest(people: People) -> Floats:
    """Heart rate less the person's lowest until then; 0 while none is known."""
    rate = people.x[:, people.names.index("hr")]
    out = np.zeros(len(rate))
    for who in np.unique(people.person):
        own = np.flatnonzero(people.person == who)
        lowest = np.minimum.accumulate(np.where(np.isnan(rate[own]), np.inf, rate[own]))
        out[own] = np.where(np.isnan(rate[own]), 0.0, rate[own] - lowest)
    return out
