"""Where the inputs of rule scores come from, and how they are shown as evidence.

Precedence, first present wins:

- resp_rate: `resp_rate_per_min`, `resp_device_per_min`, charted resp_rate
- spo2: `spo2_mean_pct`, charted spo2
- oxygen: the newest of charted oxygen, o2_flow (> 0) and fio2 (> 21 %);
  on a tie in that order
- sbp: charted sbp
- pulse: `ecg_hr_bpm`, `ppg_pulse_rate_bpm`, `hr_mean_bpm`, `pulse_mean_bpm`, charted hr
- consciousness: charted consciousness, never derived from GCS
- temp: `temp_mean_c` behind a gate (below), charted temp

Window features are means or medians behind the quality gate, so no 2 s artefact gets here. The
SpO2 scale is a prescription: a charted spo2_scale, else scale 1, never inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from features.catalog import CATALOG, FeatureReason
from features.catalog import INDEX as FEATURE
from features.concepts import CONCEPTS, word_of
from features.concepts import INDEX as CONCEPT
from models.score import Evidence

PARAMETERS = ("resp_rate", "spo2", "oxygen", "sbp", "pulse", "consciousness", "temp")

# A wearable's skin reads below core temperature. Only a reading that charts as 35.1-42.0 °C is
# taken for core; a lower one says nothing about hypothermia and the charted value is used.
WEARABLE_TEMP_LO_C = 35.05
WEARABLE_TEMP_HI_C = 42.05
WEARABLE_TEMP_MIN_QUALITY = 0.5

_FEATURES = {
    "resp_rate": ("resp_rate_per_min", "resp_device_per_min"),
    "spo2": ("spo2_mean_pct",),
    "pulse": ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "hr_mean_bpm", "pulse_mean_bpm"),
    "temp": ("temp_mean_c",),
}
_CONCEPTS = {"oxygen": "oxygen", "pulse": "hr"}  # others have the parameter's own name
_AIR_FIO2_PCT = 21.5  # below: room air as charted in whole percent
_DECIMALS = 4  # scores and what stands behind them are published to 1e-4
WEARABLE = "wearable"
_MODALITIES = (WEARABLE, "vital")


class Inputs(NamedTuple):
    """Chosen inputs of B rows; columns follow PARAMETERS, NaN = missing."""

    value: NDArray[np.float64]  # [B, 7] as `News2Inputs`
    shown: NDArray[np.float64]  # [B, 7] what was measured: differs for oxygen from flow or FiO2
    time_us: NDArray[np.int64]  # [B, 7] when it was true; 0 = missing
    quality: NDArray[np.float64]  # [B, 7] 0-1
    source: NDArray[np.int64]  # [B, 7] feature column, or len(CATALOG) + concept column
    spo2_scale: NDArray[np.float64]  # [B] NaN = not prescribed


class _Candidate(NamedTuple):
    """One possible source of one parameter, for all rows."""

    value: NDArray[np.float64]
    shown: NDArray[np.float64]
    time_us: NDArray[np.int64]
    quality: NDArray[np.float64]
    source: int


def select(batch: AlignedBatch) -> Inputs:
    """Inputs of rule scores, chosen by the precedence above, row by row.

    Parameters
    ----------
    batch : AlignedBatch
        B rows.

    Returns
    -------
    Inputs
        (B, 7), NaN = missing.
    """
    rows = len(batch.features.windows)
    value = np.full((rows, len(PARAMETERS)), np.nan)
    shown = value.copy()
    time_us = np.zeros(value.shape, dtype=np.int64)
    quality = np.zeros(value.shape)
    source = np.full(value.shape, -1, dtype=np.int64)
    for column, parameter in enumerate(PARAMETERS):
        for candidate in _candidates(batch, parameter):
            take = np.isnan(value[:, column]) & np.isfinite(candidate.value)
            value[take, column] = candidate.value[take]
            shown[take, column] = candidate.shown[take]
            time_us[take, column] = candidate.time_us[take]
            quality[take, column] = candidate.quality[take]
            source[take, column] = candidate.source
    scale = batch.concept_value[:, CONCEPT["spo2_scale"]]
    return Inputs(value, shown, time_us, quality, source, scale)


def _candidates(batch: AlignedBatch, parameter: str) -> list[_Candidate]:
    """Sources of a parameter, best first."""
    if parameter == "oxygen":
        return _oxygen(batch)
    found = [_feature(batch, name) for name in _FEATURES.get(parameter, ())]
    return [*found, _concept(batch, _CONCEPTS.get(parameter, parameter))]


def _feature(batch: AlignedBatch, name: str) -> _Candidate:
    """A window feature where it has a value, valid at the window's end."""
    column = FEATURE[name]
    features = batch.features
    quality = features.quality[:, column].astype(np.float64)
    ok = features.reason[:, column] == FeatureReason.OK
    value = np.where(ok, features.value[:, column], np.nan)
    if name == "temp_mean_c":
        core = (value >= WEARABLE_TEMP_LO_C) & (value < WEARABLE_TEMP_HI_C)
        value = np.where(core & (quality >= WEARABLE_TEMP_MIN_QUALITY), value, np.nan)
    end_us = np.array([window.end_us for window in features.windows], dtype=np.int64)
    return _Candidate(value, value, end_us, quality, column)


def _concept(batch: AlignedBatch, code: str) -> _Candidate:
    """A charted fact as of the row; the store has applied its maximum age."""
    column = CONCEPT[code]
    value = batch.concept_value[:, column]
    ones = np.ones(len(value))
    return _Candidate(value, value, batch.concept_time_us[:, column], ones, len(CATALOG) + column)


def _oxygen(batch: AlignedBatch) -> list[_Candidate]:
    """Air or oxygen by the newest statement: an old "air" must not hide a later flow."""
    stated = _concept(batch, "oxygen")
    flow = _concept(batch, "o2_flow")
    fio2 = _concept(batch, "fio2")
    flow = flow._replace(value=_flag(flow.value, 0.0))
    fio2 = fio2._replace(value=_flag(fio2.value, _AIR_FIO2_PCT))
    candidates = [stated, flow, fio2]
    newest_us = np.max([c.time_us for c in candidates], axis=0)  # missing: 0
    return [c._replace(value=np.where(c.time_us == newest_us, c.value, np.nan)) for c in candidates]


def _flag(value: NDArray[np.float64], above: float) -> NDArray[np.float64]:
    """1 where the value is above the limit, 0 where not, NaN where missing."""
    return np.where(np.isnan(value), np.nan, (value > above).astype(np.float64))


def evidence_of(
    inputs: Inputs, row: int, end_us: int, points: Sequence[int]
) -> tuple[Evidence, ...]:
    """Evidence of one row, one entry per present input, in the order of PARAMETERS."""
    value = inputs.value[row].tolist()
    shown = inputs.shown[row].tolist()
    time_us = inputs.time_us[row].tolist()
    quality = inputs.quality[row].tolist()
    source = inputs.source[row].tolist()
    found = []
    for i in range(len(PARAMETERS)):
        if value[i] != value[i]:  # NaN: missing
            continue
        label, code, unit, modality = _describe(source[i], shown[i])
        found.append(
            Evidence(
                label=label,
                code=code,
                value=round(shown[i], _DECIMALS),
                unit=unit,
                time_us=time_us[i],
                age_s=round((end_us - time_us[i]) / 1e6, _DECIMALS),
                source=modality,
                quality=round(quality[i], _DECIMALS),
                points=float(points[i]),
            )
        )
    return tuple(found)


def _describe(source: int, shown: float) -> tuple[str, str, str, str]:
    """Label, code, unit and modality of a source column."""
    if source < len(CATALOG):
        feature = CATALOG[source]
        return feature.label, feature.name, feature.unit, WEARABLE
    concept = CONCEPTS[source - len(CATALOG)]
    word = word_of(concept, shown) if concept.words else ""
    label = f"{concept.label}: {word}" if word else concept.label
    return label, concept.code, concept.unit, concept.modality


def modalities(evidence: Sequence[Evidence]) -> tuple[dict[str, float], dict[str, bool]]:
    """Points and presence per modality; the points sum to the score."""
    share = dict.fromkeys(_MODALITIES, 0.0)
    present = dict.fromkeys(_MODALITIES, False)
    for item in evidence:
        share[item.source] += item.points
        present[item.source] = True
    return share, present
