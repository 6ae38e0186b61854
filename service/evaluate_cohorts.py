"""Cohorts beyond the two challenges: eICU tasks of YAIB, people with type 1 diabetes.

Inputs are by concept code, in the concept's unit, so that any artifact whose inputs have these
codes is judged on them. Not here: reading files (`service.datasets`), what a cohort is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.events import EventSpec
from service.datasets import t1d_uom, yaib_eicu
from service.datasets.packed import unpacked
from service.evaluate_data import Cohort, Inputs, people_of, rules_of
from service.evaluate_stress import of_stress

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LABEL_LEAD_H: Final = 6.0  # YAIB's sepsis and kidney injury are labelled so long before onset
MMOL_L_GLUCOSE: Final = 18.016  # mg/dL
VITAL_OF: Final = {
    "hr": "hr",
    "resp": "resp_rate",
    "o2sat": "spo2",
    "temp": "temp",
    "sbp": "sbp",
    "map": "map",
    "dbp": "dbp",
}
LAB_OF: Final = {
    "alb": "albumin",
    "alp": "alp",
    "alt": "alt",
    "ast": "ast",
    "be": "base_excess",
    "bicar": "hco3",
    "bili": "bilirubin",
    "bili_dir": "bilirubin_direct",
    "bun": "bun",
    "ca": "ca",
    "cl": "cl",
    "crea": "creatinine",
    "fgn": "fibrinogen",
    "fio2": "fio2",
    "glu": "glucose",
    "hgb": "hb",
    "inr_pt": "inr",
    "k": "k",
    "lact": "lactate",
    "mg": "mg",
    "na": "na",
    "pco2": "pco2",
    "ph": "ph",
    "phos": "phos",
    "plt": "plt",
    "po2": "po2",
    "ptt": "ptt",
    "tnt": "troponin_t",
    "urine": "urine_output",
    "wbc": "wbc",
}
STATIC_OF: Final = ("age_years", "sex", "height", "weight")


def of_yaib(path: Path, task: yaib_eicu.Task = "sepsis") -> Cohort:
    """Hours of the eICU demo; a stay whose outcome is asked once is judged at its last hour."""
    with unpacked(path, "yaib_eicu_demo", yaib_eicu.TASKS[1]) as folder:
        rows = yaib_eicu.read(folder, task)
    first = np.flatnonzero(np.append(True, rows.stay[1:] != rows.stay[:-1]))
    lengths = np.diff(np.append(first, len(rows.stay)))
    label = rows.label == 1
    inputs = {
        "vitals": _picked(rows, VITAL_OF),
        "labs": _picked(rows, LAB_OF),
        "static": Inputs(STATIC_OF, rows.static.astype(np.float32), once=True),
    }
    hourly = task in ("sepsis", "aki")
    ill = np.flatnonzero(np.add.reduceat(label, first) > 0) if hourly else np.zeros(0, np.int64)
    begins = [first[k] + int(np.argmax(label[first[k] : first[k] + lengths[k]])) for k in ill]
    return Cohort(
        name=f"yaib_eicu {task}",
        citation="eICU demo by YAIB (van de Water et al. 2024, ICLR)",
        patients=tuple(str(s) for s in rows.stay[first].tolist()),
        lengths=lengths,
        time_h=rows.hour.astype(np.float64),
        label=label,
        judged=~np.isnan(rows.label),
        event_patient=ill,
        event_h=rows.hour[np.array(begins, np.int64)].astype(np.float64) + LABEL_LEAD_H,
        inputs=inputs,
        groups=people_of(inputs["static"], first),
        rules=rules_of(inputs["vitals"], inputs["labs"], lengths),
        events=EventSpec() if hourly else None,
        utility=task == "sepsis",
    )


def _picked(rows: yaib_eicu.Rows, table: dict[str, str]) -> Inputs:
    """Columns of one modality; a column that is not there was never measured."""
    value = np.full((len(rows.stay), len(table)), np.nan, np.float32)
    for place, name in enumerate(table):
        if name in rows.names:
            value[:, place] = rows.value[:, rows.names.index(name)]
    return Inputs(tuple(table.values()), value, once=False)


_STREAM_OF: Final = {  # concept -> stream of T1D-UOM, its factor, whether amounts add up
    "cgm_glucose": ("glucose", MMOL_L_GLUCOSE, False),
    "hr": ("heart_rate", 1.0, False),
    "steps": ("steps", 1.0, True),
    "insulin_bolus": ("bolus", 1.0, True),
    "insulin_basal_rate": ("basal_rate", 1.0, False),
    "insulin_basal": ("basal_long", 1.0, True),
    "carbs": ("carbs", 1.0, True),
}


def of_t1d(path: Path, horizon_min: int = 60) -> Cohort:
    """Readings of glucose that are not low; the event is the first low reading of an episode."""
    with unpacked(path, "t1d_uom", "Glucose Data") as folder:
        everybody = list(t1d_uom.people(folder))
    times, labels, values, of, at_h = [], [], [], [], []
    for number, person in enumerate(everybody):
        asked = t1d_uom.decisions(person.streams["glucose"], horizon_min)
        times.append(asked.time_us)
        labels.append(asked.low)
        values.append(_known_at(person, asked.time_us))
        begins = _episodes(person.streams["glucose"])
        of += [number] * len(begins)
        at_h.append((begins - asked.time_us[:1]) / t1d_uom.HOUR_US)
    lengths = np.array([len(t) for t in times], np.int64)
    time_h = np.concatenate([(t - t[:1]) / t1d_uom.HOUR_US for t in times])
    horizon_h = horizon_min / 60
    spec = EventSpec(horizon_h=horizon_h, silence_h=horizon_h, after_h=0.0)
    return Cohort(
        name=f"t1d_uom, {horizon_min} min",
        citation="T1D-UOM, doi:10.5281/zenodo.15169263",
        patients=tuple(person.name for person in everybody),
        lengths=lengths,
        time_h=time_h,
        label=np.concatenate(labels),
        judged=np.ones(len(time_h), bool),
        event_patient=np.array(of, np.int64),
        event_h=np.concatenate(at_h),
        inputs={"all": Inputs(tuple(_STREAM_OF), np.concatenate(values), once=False)},
        groups={},
        rules={},
        events=spec._replace(row_h=t1d_uom.APART_MIN / 60),
        utility=False,
    )


def _known_at(person: t1d_uom.Person, at_us: Ints) -> NDArray[np.float32]:
    """What became known since the decision before: the last value, or the sum of amounts."""
    out = np.full((len(at_us), len(_STREAM_OF)), np.nan, np.float32)
    for place, (name, factor, adds) in enumerate(_STREAM_OF.values()):
        stream = person.streams.get(name)
        if stream is None:
            continue
        end = np.searchsorted(stream.time_us, at_us, side="right")
        begin = np.concatenate([[0], end[:-1]])
        total = np.concatenate([[0.0], np.cumsum(stream.value)])
        value = total[end] - total[begin] if adds else stream.value[np.maximum(end - 1, 0)]
        out[:, place] = np.where(end > begin, value * factor, np.nan)
    return out


def _episodes(glucose: t1d_uom.Stream) -> Ints:
    """Times of low readings that none precedes within the time a reading holds."""
    lows = glucose.time_us[glucose.value < t1d_uom.LOW_MMOL_L]
    apart = np.diff(lows, prepend=np.iinfo(np.int64).min // 2)
    return lows[apart > t1d_uom.HELD_MIN * t1d_uom.MINUTE_US]


READERS: Final[dict[str, Callable[[Path], Cohort]]] = {
    "yaib_eicu": of_yaib,
    "yaib_eicu_aki": partial(of_yaib, task="aki"),
    "yaib_eicu_mortality24": partial(of_yaib, task="mortality24"),
    "t1d_uom": of_t1d,
    "t1d_uom_30": partial(of_t1d, horizon_min=30),
    "stress_predict_e4": of_stress,
}
