"""What a model does when inputs are absent, late, in a wrong unit or of the future.

Every variant is the same cohort with other inputs, scored again the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.events import alarms, threshold_at
from models.evaluation.ranking import auprc, auroc
from models.evaluation.utility import normalised, patient_utility
from service.evaluate_alarms import PER_DAY
from service.evaluate_data import Cohort, Inputs, held_over
from service.evaluate_faults import FAULTS
from service.evaluate_measure import Asked, Bench

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scoring = Callable[[Cohort], Floats]  # probability of every row
SEED: Final = 20_260_102
LATE_H: Final = 2
WRONG_SHARE: Final = 0.05  # of patients whose unit is wrong
SUSPECT: Final = 0.9  # area of a single input: nothing measured tells an outcome so well
_HELD_H: Final = 1000.0
_WRONG: Final = {"temp": (1.8, 32.0), "glucose": (1 / 18.016, 0.0)}  # factor, then offset


def only(cohort: Cohort, chosen: Ints) -> Cohort:
    """Some patients of a cohort, in rising order."""
    kept = np.zeros(len(cohort.patients), bool)
    kept[chosen] = True
    rows = kept[cohort.patient]
    number = np.cumsum(kept) - 1
    events = kept[cohort.event_patient]
    return cohort._replace(
        patients=tuple(name for name, keep in zip(cohort.patients, kept, strict=True) if keep),
        lengths=cohort.lengths[kept],
        time_h=cohort.time_h[rows],
        label=cohort.label[rows],
        judged=cohort.judged[rows],
        event_patient=number[cohort.event_patient[events]],
        event_h=cohort.event_h[events],
        inputs={n: i._replace(value=i.value[rows]) for n, i in cohort.inputs.items()},
        groups={
            kind: tuple(level for level, keep in zip(levels, kept, strict=True) if keep)
            for kind, levels in cohort.groups.items()
        },
        rules={name: score[rows] for name, score in cohort.rules.items()},
    )


def without(cohort: Cohort, modalities: Sequence[str]) -> Cohort:
    """Nothing was ever measured in some modalities."""
    gone = {
        n: i._replace(value=np.full_like(i.value, np.nan)) if n in modalities else i
        for n, i in cohort.inputs.items()
    }
    return cohort._replace(inputs=gone)


def late(cohort: Cohort, modality: str, hours: int = LATE_H) -> Cohort:
    """Every value of a modality becomes known some rows later."""
    inputs = cohort.inputs[modality]
    moved = np.full_like(inputs.value, np.nan)
    moved[hours:] = inputs.value[:-hours]
    hour = np.arange(len(cohort.time_h)) - np.repeat(cohort.starts, cohort.lengths)
    moved[hour < hours] = np.nan
    return cohort._replace(inputs={**cohort.inputs, modality: inputs._replace(value=moved)})


def wrong_units(cohort: Cohort) -> Cohort:
    """Temperature in Fahrenheit and glucose in mmol/L for some patients, as if unlabelled."""
    random = np.random.default_rng(SEED)
    hit = (random.random(len(cohort.patients)) < WRONG_SHARE)[cohort.patient]

    def spoilt(inputs: Inputs) -> Inputs:
        value = inputs.value.copy()
        for place, name in enumerate(inputs.names):
            factor, offset = _WRONG.get(name, (1.0, 0.0))
            if name in _WRONG:
                value[hit, place] = value[hit, place] * np.float32(factor) + np.float32(offset)
        return inputs._replace(value=value)

    return cohort._replace(inputs={name: spoilt(i) for name, i in cohort.inputs.items()})


def scrambled_after(cohort: Cohort, hour: Ints) -> Cohort:
    """Every input after a patient's hour replaced by another row's."""
    random = np.random.default_rng(SEED)
    own = np.arange(len(cohort.time_h)) - np.repeat(cohort.starts, cohort.lengths)
    later = np.flatnonzero(own > np.repeat(hour, cohort.lengths))

    def mixed(inputs: Inputs) -> Inputs:
        value = inputs.value.copy()
        value[later] = inputs.value[random.integers(0, len(value), len(later))]
        return inputs._replace(value=value)

    return cohort._replace(inputs={name: mixed(i) for name, i in cohort.inputs.items()})


def absence(bench: Bench, whole: Floats, score: Scoring, asked: Asked) -> list[dict[str, Any]]:
    """Figures with every modality absent, and with each one alone; whole first."""
    names = [n for n in bench.cohort.inputs if not bench.cohort.inputs[n].once]
    gone: list[tuple[str, ...]] = [()]
    for size in range(1, len(names)):
        gone += list(combinations(names, size))
    statics = tuple(n for n in bench.cohort.inputs if bench.cohort.inputs[n].once)
    gone += [(name,) for name in statics]
    rows = []
    for absent in gone:
        prob = whole if not absent else score(without(bench.cohort, absent))
        rows.append({"absent": list(absent), **brief(bench, prob, asked)})
    return rows


def stress(bench: Bench, score: Scoring, asked: Asked) -> list[dict[str, Any]]:
    """Figures with late values, wrong units, and the faults of `service.evaluate_faults`."""
    rows = [
        {"what": f"{name} {LATE_H} h late", **brief(bench, score(late(bench.cohort, name)), asked)}
        for name, inputs in bench.cohort.inputs.items()
        if not inputs.once
    ]
    share = f"{100 * WRONG_SHARE:.0f} % of patients: temperature in °F, glucose in mmol/L"
    return [
        *rows,
        {"what": share, **brief(bench, score(wrong_units(bench.cohort)), asked)},
        *({"what": n, **brief(bench, score(f(bench.cohort)), asked)} for n, f in FAULTS.items()),
    ]


def brief(bench: Bench, prob: Floats, asked: Asked) -> dict[str, float]:
    """The figures that variants are compared by."""
    cohort = bench.cohort
    judged = cohort.judged
    found = {
        "auroc": auroc(cohort.label[judged], prob[judged]),
        "auprc": auprc(cohort.label[judged], prob[judged]),
    }
    if bench.worth is not None and not np.isnan(asked.threshold):
        sums = patient_utility(prob >= asked.threshold, bench.worth, cohort.lengths)
        found["utility"] = normalised(sums)
    if bench.watched is not None:
        heard = bench.heard(prob)
        at = threshold_at(heard.score, heard.watched, asked.rate)
        rung = alarms(heard.score, heard.watched, np.array([at]))
        found[f"sensitivity_at_{PER_DAY[1]:g}_per_day"] = float(
            rung.caught.sum() / max(rung.events.sum(), 1.0)
        )
    return found


def future_audit(cohort: Cohort, score: Scoring, patients: int = 200) -> dict[str, Any]:
    """Scramble everything after an hour of some patients: earlier scores must keep their bits."""
    random = np.random.default_rng(SEED)
    long = np.flatnonzero(cohort.lengths >= 2)
    chosen = np.sort(random.choice(long, min(patients, len(long)), replace=False))
    some = only(cohort, chosen)
    hour = random.integers(0, some.lengths - 1)
    before, after = score(some), score(scrambled_after(some, hour))
    own = np.arange(len(some.time_h)) - np.repeat(some.starts, some.lengths)
    early = own <= np.repeat(hour, some.lengths)
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    return {
        "patients": len(chosen),
        "rows_before": int(early.sum()),
        "changed_before": int((changed & early).sum()),
        "changed_after": int((changed & ~early).sum()),
        "passed": not bool((changed & early).any()),
    }


def giveaways(cohort: Cohort) -> dict[str, Any]:
    """What tells the label without any medicine: length, hour, and single inputs."""
    judged = cohort.judged
    label = cohort.label[judged]
    length = np.repeat(cohort.lengths, cohort.lengths).astype(np.float64)
    whole = np.zeros(len(cohort.patients), bool)
    np.logical_or.at(whole, cohort.patient[judged], label)
    per_patient = auroc(whole, cohort.lengths.astype(np.float64))
    singles: list[tuple[float, str, float, float]] = []
    for inputs in cohort.inputs.values():
        for place, name in enumerate(inputs.names):
            value = held_over(inputs.value[:, place], cohort.lengths, _HELD_H)[judged]
            there = auroc(label, (~np.isnan(value)).astype(np.float64))
            area = auroc(label, value)
            best = max(_either(area), _either(there))
            singles.append((best, name, area, there))
    singles.sort(reverse=True)
    return {
        "length_auroc_per_patient": per_patient,
        "length_auroc_per_row": auroc(label, length[judged]),
        "hour_auroc_per_row": auroc(label, cohort.time_h[judged]),
        "single_inputs": [
            {"input": name, "best": best, "value": area, "ever_measured": there}
            for best, name, area, there in singles[:8]
        ],
        "suspect": [name for best, name, *_ in singles if best > SUSPECT],
    }


def _either(area: float) -> float:
    return 0.5 if np.isnan(area) else max(area, 1 - area)
