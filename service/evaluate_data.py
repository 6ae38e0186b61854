"""Who is evaluated on what: rows of patients, inputs by modality, events, groups. Pure.

Not here: reading data sets (`service.datasets`), scoring (`service.evaluate_score`), figures
(`service.evaluate_measure`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.events import EventSpec
from models.news2 import News2Inputs, news2
from service.datasets import cinc2012, cinc2019
from service.datasets.packed import unpacked

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
AGE_BANDS: Final = (
    ("under 45", 45.0),
    ("45 to 64", 65.0),
    ("65 to 79", 80.0),
    ("80 and over", 999),
)
SEXES: Final = ("female", "male")
VITAL_AGE_H: Final = 2.0  # oldest vital sign that NEWS2 counts; temperature 8 h
TEMP_AGE_H: Final = 8.0


class Inputs(NamedTuple):
    """One modality: what was measured in every row, NaN otherwise."""

    names: tuple[str, ...]  # concept codes
    value: Floats32  # [N, d]
    once: bool  # static: known from the first row on


class Cohort(NamedTuple):
    """Rows of patients one after the other in time order; P patients, N rows."""

    name: str
    citation: str
    patients: tuple[str, ...]
    lengths: Ints  # [P]
    time_h: Floats  # [N] since the stay began
    label: Bools  # [N]
    judged: Bools  # [N] rows that hourly figures are about
    event_patient: Ints  # [E]
    event_h: Floats  # [E]
    inputs: dict[str, Inputs]
    groups: dict[str, tuple[str, ...]]  # kind -> level of every patient, "" = not known
    rules: dict[str, Floats]  # other scores to compare with, [N] each
    events: EventSpec | None  # None: no alarms over time are measured
    utility: bool  # the CinC 2019 utility is defined

    @property
    def patient(self) -> Ints:
        """Patient of every row, [N]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def starts(self) -> Ints:
        """First row of every patient, [P]."""
        first: Ints = np.cumsum(self.lengths) - self.lengths
        return first


def of_cinc2019(path: Path) -> Cohort:
    """Hourly rows of the sepsis challenge; onset is six hours after the label begins."""
    stays = cinc2019.load(path)
    inputs = {
        name: Inputs(tuple(c.code for c in cinc2019.features(name)), value, name == "static")
        for name, value in stays.value.items()
    }
    hour = np.arange(len(stays.label)) - np.repeat(stays.starts, stays.lengths)
    first = np.flatnonzero(stays.septic)
    begins = np.array([int(np.argmax(stays.label[s : s + n])) for s, n in _spans(stays, first)])
    time_h = hour.astype(np.float64)
    return Cohort(
        name="cinc2019",
        citation=cinc2019.CITATION.replace(" set A", ""),
        patients=stays.ids,
        lengths=stays.lengths,
        time_h=time_h,
        label=stays.label,
        judged=np.ones(len(hour), bool),
        event_patient=first,
        event_h=begins + cinc2019.LABEL_LEAD_H,
        inputs=inputs,
        groups={
            **people_of(inputs["static"], stays.starts),
            "unit": tuple(cinc2019.UNITS[u] for u in stays.unit.tolist()),
        },
        rules=rules_of(inputs["vitals"], inputs["labs"], stays.lengths),
        events=EventSpec(),
        utility=True,
    )


def of_cinc2012(path: Path) -> Cohort:
    """Stays of 48 h as hourly rows; death in hospital is asked for at the last one only."""
    with unpacked(path, "cinc2012_seta", "set-a") as folder:
        stays = cinc2012.read(folder)
    inputs = _hourly(stays)
    count, hours = len(stays.ids), cinc2012.HOURS
    judged = np.tile(np.arange(hours) == hours - 1, count)
    lengths = np.full(count, hours)
    groups = people_of(inputs["static"], np.arange(count) * hours)
    kinds = ("", "coronary", "cardiac surgery", "medical", "surgical")
    unit = np.nan_to_num(stays.static[:, cinc2012.STATIC.index("ICUType")]).astype(int)
    return Cohort(
        name="cinc2012",
        citation="PhysioNet/CinC Challenge 2012",
        patients=stays.ids,
        lengths=lengths,
        time_h=np.tile(np.arange(hours, dtype=np.float64), count),
        label=np.repeat(stays.died, hours),
        judged=judged,
        event_patient=np.zeros(0, np.int64),
        event_h=np.zeros(0),
        inputs=inputs,
        groups={**groups, "unit": tuple(kinds[k] for k in unit.tolist())},
        rules=rules_of(inputs["vitals"], inputs["labs"], lengths),
        events=None,
        utility=False,
    )


def _spans(stays: cinc2019.Stays, chosen: Ints) -> list[tuple[int, int]]:
    return list(zip(stays.starts[chosen].tolist(), stays.lengths[chosen].tolist(), strict=True))


def people_of(static: Inputs, starts: Ints) -> dict[str, tuple[str, ...]]:
    """Sex and age band of every patient, from the first row that has them."""
    column = {name: static.value[starts, i] for i, name in enumerate(static.names)}
    sex = column.get("sex", np.full(len(starts), np.nan))
    age = column.get("age_years", np.full(len(starts), np.nan))
    return {
        "sex": tuple("" if s != s else SEXES[int(s > 0)] for s in sex.tolist()),
        "age": tuple(_band(a) for a in age.tolist()),
    }


def _band(age: float) -> str:
    return "" if age != age else next(name for name, below in AGE_BANDS if age < below)


def rules_of(vitals: Inputs, labs: Inputs, lengths: Ints) -> dict[str, Floats]:
    """NEWS2 at its lower bound, from what was charted lately; consciousness counts as missing."""
    column = {name: vitals.value[:, i] for i, name in enumerate(vitals.names)}
    fio2 = dict(zip(labs.names, labs.value.T, strict=True)).get("fio2")
    none = np.full(len(vitals.value), np.nan)
    held = {name: held_over(column[name], lengths, _age(name)) for name in column}
    oxygen = none if fio2 is None else held_over(fio2, lengths, VITAL_AGE_H)
    result = news2(
        News2Inputs(
            resp_rate=held.get("resp_rate", none),
            spo2=held.get("spo2", none),
            oxygen=np.where(np.isnan(oxygen), np.nan, (oxygen > 21).astype(np.float64)),
            sbp=held.get("sbp", none),
            pulse=held.get("hr", none),
            consciousness=none,
            temp=held.get("temp", none),
            spo2_scale=none,
        )
    )
    return {"NEWS2 (lower bound)": result.lower.astype(np.float64)}


def _age(name: str) -> float:
    return TEMP_AGE_H if name == "temp" else VITAL_AGE_H


def held_over(value: Floats32, lengths: Ints, max_age_h: float) -> Floats:
    """The last value of the patient, if it is at most so many rows old."""
    rows = np.arange(len(value))
    begin = np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = np.maximum.accumulate(np.where(np.isnan(value), -1, rows))
    good = (last >= begin) & (rows - last <= max_age_h)
    return np.where(good, value[np.maximum(last, 0)], np.nan).astype(np.float64)


_CONCEPT_OF: Final = {  # CinC 2012's variables by concept code
    "HR": "hr",
    "SaO2": "spo2",
    "Temp": "temp",
    "RespRate": "resp_rate",
    "SysABP": "sbp",
    "NISysABP": "sbp",
    "MAP": "map",
    "NIMAP": "map",
    "DiasABP": "dbp",
    "NIDiasABP": "dbp",
    "HCO3": "hco3",
    "FiO2": "fio2",
    "pH": "ph",
    "PaCO2": "pco2",
    "AST": "ast",
    "ALP": "alp",
    "BUN": "bun",
    "Creatinine": "creatinine",
    "Glucose": "glucose",
    "Lactate": "lactate",
    "Mg": "mg",
    "K": "k",
    "Bilirubin": "bilirubin",
    "TroponinI": "troponin_i",
    "HCT": "hct",
    "WBC": "wbc",
    "Platelets": "plt",
}
_SCALED: Final = {"FiO2": 100.0}


def _hourly(stays: cinc2012.Stays) -> dict[str, Inputs]:
    """The last value of every hour, in the modalities and concepts of CinC 2019."""
    count, hours = len(stays.ids), cinc2012.HOURS
    found = {}
    for modality in ("vitals", "labs"):
        names = tuple(cinc2019.MODALITIES[modality].values())
        value = np.full((count * hours, len(names)), np.nan, np.float32)
        for variable, concept in _CONCEPT_OF.items():
            if concept in names:
                own = stays.variable == cinc2012.VARIABLES.index(variable)
                hour = np.minimum(stays.minute[own] // 60, hours - 1)
                at = stays.stay[own] * hours + hour
                scale = _SCALED.get(variable, 1.0)
                value[at, names.index(concept)] = stays.value[own] * scale
        found[modality] = Inputs(names, value, once=False)
    names = tuple(cinc2019.MODALITIES["static"].values())
    static = np.full((count, len(names)), np.nan, np.float32)
    static[:, names.index("age_years")] = stays.static[:, cinc2012.STATIC.index("Age")]
    static[:, names.index("sex")] = stays.static[:, cinc2012.STATIC.index("Gender")]
    found["static"] = Inputs(names, np.repeat(static, hours, axis=0), once=True)
    return found
