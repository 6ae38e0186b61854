"""Which data sets `vigil train` learns a network from, and what is asked of each: one row a set.

Rows, inputs and labels are those of the cohort that `vigil evaluate` judges on, so a network is
judged on what it was trained for. Not here: the loop (`service.train_network`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from features.concepts import find
from models.evaluation.utility import RowUtility, row_utility
from models.spec import FeatureSpec, ModalitySpec
from models.training.losses import utility_target
from service.datasets.cinc2019 import CITATION, LICENCE, Stays, load
from service.evaluate_data import Cohort, Inputs
from service.evaluate_readers import READERS
from service.training import cinc2019 as sepsis

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HOUR_S: Final = 3600.0
ANY: Final = 1e6  # bound of a feature whose range nobody states
_KINDS: Final = {"labs": "event", "static": "static"}


class Asked(NamedTuple):
    """What a data set asks, beside its rows."""

    task: str
    horizon_s: float
    cadence_s: float
    licence: str
    max_age_s: Mapping[str, float]  # of the inputs of a modality


class Task(NamedTuple):
    """Rows of patients one after the other in time order, what was measured, what is true."""

    asked: Asked
    citation: str
    ids: tuple[str, ...]
    lengths: Ints  # [P]
    time_s: Floats | None  # [N] since each began; None: a row an hour
    value: dict[str, Floats32]  # modality -> [N, d]
    modalities: tuple[ModalitySpec, ...]
    label: Bools  # [N]
    judged: Bools  # [N]
    target: Floats  # [N] of the loss
    weight: Floats  # [N] of the loss
    strata: Ints  # [P] what every fold should hold its share of
    worth: RowUtility | None  # of an alarm, where that is defined

    @property
    def row_patient(self) -> Ints:
        """Patient of every row, [N]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def of_stays(stays: Stays) -> Task:
    """Sepsis: labelled by what an alarm is worth; folds as septic and of the same units each."""
    worth = sepsis.worth(stays)
    target, weight = utility_target(worth.alarm - worth.quiet)
    return Task(
        asked=Asked("sepsis", sepsis.HORIZON_S, HOUR_S, LICENCE, sepsis.MAX_AGE_S),
        citation=CITATION,
        ids=stays.ids,
        lengths=stays.lengths,
        time_s=None,
        value=stays.value,
        modalities=sepsis.modalities(),
        label=stays.label,
        judged=np.ones(len(stays.label), bool),
        target=target,
        weight=weight,
        strata=stays.septic + 2 * stays.unit,
        worth=worth,
    )


def of_cohort(cohort: Cohort, asked: Asked) -> Task:
    """What is judged is what trains; by what an alarm is worth where the cohort defines that."""
    target, weight = cohort.label.astype(np.float64), cohort.judged.astype(np.float64)
    worth = None
    if cohort.utility:
        worth = row_utility(cohort.label, cohort.lengths)
        target, weight = utility_target(worth.alarm - worth.quiet)
        weight = np.where(cohort.judged, weight, 0.0)
    ill = np.zeros(len(cohort.lengths), np.int64)
    np.maximum.at(ill, cohort.patient, (cohort.label & cohort.judged).astype(np.int64))
    return Task(
        asked=asked,
        citation=cohort.citation,
        ids=cohort.patients,
        lengths=cohort.lengths,
        time_s=cohort.time_h * HOUR_S,
        value={name: inputs.value for name, inputs in cohort.inputs.items()},
        modalities=tuple(_modality(n, x, asked) for n, x in cohort.inputs.items()),
        label=cohort.label,
        judged=cohort.judged,
        target=target,
        weight=weight,
        strata=ill,
        worth=worth,
    )


def _modality(name: str, inputs: Inputs, asked: Asked) -> ModalitySpec:
    """Inputs by concept, in its unit and range; what is no concept is a bare number."""
    features = []
    for code in inputs.names:
        concept = find(code)
        told = ("1", -ANY, ANY) if concept is None else (concept.unit, concept.lo, concept.hi)
        features.append(FeatureSpec(code, *told))
    kind = cast(Any, "static" if inputs.once else _KINDS.get(name, "dense"))
    return ModalitySpec(name, kind, tuple(features), asked.max_age_s[name])


_ICU: Final = sepsis.MAX_AGE_S
_GLUCOSE: Final = {"all": 2 * HOUR_S}
_WRIST: Final = dict.fromkeys(("pulse", "skin", "motion"), 120.0)
_EICU: Final = "ODbL 1.0"
ASKED: Final[dict[str, Asked]] = {  # by name of the cohort in `service.evaluate_readers`
    "cinc2012": Asked("death in hospital", 48 * HOUR_S, HOUR_S, "ODC-By 1.0", _ICU),
    "yaib_eicu": Asked("sepsis", 6 * HOUR_S, HOUR_S, _EICU, _ICU),
    "yaib_eicu_aki": Asked("kidney injury", 6 * HOUR_S, HOUR_S, _EICU, _ICU),
    "yaib_eicu_mortality24": Asked("death in the unit", 24 * HOUR_S, HOUR_S, _EICU, _ICU),
    "t1d_uom": Asked("hypoglycaemia", HOUR_S, 300.0, "CC BY 4.0", _GLUCOSE),
    "t1d_uom_30": Asked("hypoglycaemia", HOUR_S / 2, 300.0, "CC BY 4.0", _GLUCOSE),
    "stress_predict_e4": Asked("stress", 60.0, 10.0, "MIT", _WRIST),
}


def _sepsis(path: Path) -> Task:
    return of_stays(load(path))


def _judged(name: str, path: Path) -> Task:
    return of_cohort(READERS[name](path), ASKED[name])


TASKS: Final[dict[str, Callable[[Path], Task]]] = {
    "cinc2019": _sepsis,
    **{name: partial(_judged, name) for name in ASKED},
}
