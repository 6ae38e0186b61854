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

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from features.catalog import CATALOG, FeatureReason
from features.catalog import INDEX as FEATURE
from features.concepts import CONCEPTS, word_of
from features.concepts import INDEX as CONCEPT
from features.effects import Explained, Explanation, explanations
from models.score import Evidence

PARAMETERS = ("resp_rate", "spo2", "oxygen", "sbp", "pulse", "consciousness", "temp")
_SIGNS = tuple("hr" if p == "pulse" else p for p in PARAMETERS)  # concept codes of the parameters

# A wearable's skin reads below core temperature. Only a reading that charts as 35.1-42.0 °C is
# taken for core; a lower one says nothing about hypothermia and the charted value is used.
WEARABLE_TEMP_LO_C = 35.05
WEARABLE_TEMP_HI_C = 42.05
WEARABLE_TEMP_MIN_QUALITY = 0.5

_FEATURES = (
    "resp_rate_per_min",
    "resp_device_per_min",
    "spo2_mean_pct",
    "ecg_hr_bpm",
    "ppg_pulse_rate_bpm",
    "hr_mean_bpm",
    "pulse_mean_bpm",
    "temp_mean_c",
)
READS = _FEATURES  # every catalogue feature that a rule score looks at
_CONCEPTS = (
    "resp_rate",
    "spo2",
    "oxygen",
    "o2_flow",
    "fio2",
    "sbp",
    "hr",
    "consciousness",
    "temp",
)
_POOL = (*_FEATURES, *(f"charted {code}" for code in _CONCEPTS), "nothing")
_PRECEDENCE = {  # parameter -> members of the pool, best first
    "resp_rate": ("resp_rate_per_min", "resp_device_per_min", "charted resp_rate"),
    "spo2": ("spo2_mean_pct", "charted spo2"),
    "oxygen": ("charted oxygen", "charted o2_flow", "charted fio2"),
    "sbp": ("charted sbp",),
    "pulse": (*_FEATURES[3:7], "charted hr"),
    "consciousness": ("charted consciousness",),
    "temp": ("temp_mean_c", "charted temp"),
}
_WIDTH = max(len(members) for members in _PRECEDENCE.values())
_TABLE = np.array(  # [7, width] columns of the pool
    [
        [_POOL.index(m) for m in (*_PRECEDENCE[p], *["nothing"] * _WIDTH)[:_WIDTH]]
        for p in PARAMETERS
    ]
)
_FEATURE_COLUMNS = np.array([FEATURE[name] for name in _FEATURES])
_CONCEPT_COLUMNS = np.array([CONCEPT[code] for code in _CONCEPTS])
_TEMP = _FEATURES.index("temp_mean_c")
_O2, _FLOW, _FIO2 = (_CONCEPTS.index(code) for code in ("oxygen", "o2_flow", "fio2"))
_O2_GROUP = (_O2, _FLOW, _FIO2)

_AIR_FIO2_PCT = 21.5  # below: room air as charted in whole percent
_OK = int(FeatureReason.OK)
_DECIMALS = 4  # scores and what stands behind them are published to 1e-4
WEARABLE = "wearable"
_MODALITIES = (WEARABLE, "vital")


class Inputs(NamedTuple):
    """Chosen inputs of B rows; columns follow PARAMETERS, NaN = missing."""

    value: NDArray[np.float64]  # [B, 7] as `News2Inputs`
    shown: NDArray[np.float64]  # [B, 7] what was measured: differs for oxygen from flow or FiO2
    time_us: NDArray[np.int64]  # [B, 7] when it was true; 0 = missing
    quality: NDArray[np.float64]  # [B, 7] 0-1
    member: NDArray[np.int64]  # [B, 7] column of the pool of sources
    spo2_scale: NDArray[np.float64]  # [B] NaN = not prescribed
    explained: list[Explained]  # [B] care that may have moved a sign, by its concept code


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
    features = batch.features
    rows = len(features.windows)
    ok = features.reason[:, _FEATURE_COLUMNS] == _OK
    measured = np.where(ok, features.value[:, _FEATURE_COLUMNS], np.nan)
    quality = features.quality[:, _FEATURE_COLUMNS].astype(np.float64)
    measured[:, _TEMP] = core_temperature(measured[:, _TEMP], quality[:, _TEMP])
    charted = batch.concept_value[:, _CONCEPT_COLUMNS]
    charted_us = batch.concept_time_us[:, _CONCEPT_COLUMNS]
    end_us = np.array([window.end_us for window in features.windows], dtype=np.int64)
    nothing = np.full((rows, 1), np.nan)
    pool = np.hstack([measured, _on_oxygen(charted, charted_us), nothing])  # [B, P]
    shown = np.hstack([measured, charted, nothing])
    time_us = np.zeros(pool.shape, dtype=np.int64)
    time_us[:, : len(_FEATURES)] = end_us[:, None]
    time_us[:, len(_FEATURES) : -1] = charted_us
    qualities = np.ones(pool.shape)
    qualities[:, : len(_FEATURES)] = quality
    first = np.isfinite(pool[:, _TABLE]).argmax(axis=2)  # [B, 7]; 0 when none is
    member = _TABLE[np.arange(len(PARAMETERS)), first]
    chosen = np.arange(rows)[:, None], member
    value = pool[chosen]
    return Inputs(
        value=value,
        shown=shown[chosen],
        time_us=np.where(np.isnan(value), 0, time_us[chosen]),
        quality=qualities[chosen],
        member=member,
        spo2_scale=batch.concept_value[:, CONCEPT["spo2_scale"]],
        explained=explanations(batch.effect_value, batch.effect_time_us, end_us),
    )


def core_temperature(
    temp_c: NDArray[np.float64], quality: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Wearable temperature where it may stand for core temperature, else NaN."""
    core = (temp_c >= WEARABLE_TEMP_LO_C) & (temp_c < WEARABLE_TEMP_HI_C)
    return np.where(core & (quality >= WEARABLE_TEMP_MIN_QUALITY), temp_c, np.nan)


def _on_oxygen(charted: NDArray[np.float64], charted_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Charted columns with flow and FiO2 turned into 0 or 1, only the newest statement kept.

    An old "air" must not hide a later flow, nor an old flow a later "air".
    """
    result = charted.copy()
    for column, limit in ((_FLOW, 0.0), (_FIO2, _AIR_FIO2_PCT)):
        given = ~np.isnan(charted[:, column])
        result[given, column] = charted[given, column] > limit
    newest_us = charted_us[:, _O2_GROUP].max(axis=1, initial=0)  # missing: 0
    for column in _O2_GROUP:
        result[charted_us[:, column] != newest_us, column] = np.nan
    return result


def evidence(
    inputs: Inputs, end_us: Sequence[int], points: NDArray[np.int64]
) -> list[tuple[Evidence, ...]]:
    """Evidence of each row, one entry per present input, in the order of PARAMETERS.

    Parameters
    ----------
    inputs : Inputs
        B rows from `select`.
    end_us : sequence of int, length B
        The score's time, from which ages count.
    points : (B, 7) int64
        Points of each present input.

    Returns
    -------
    list of tuple of Evidence
        Length B.
    """
    shown = np.round(inputs.shown, _DECIMALS).tolist()
    quality = np.round(inputs.quality, _DECIMALS).tolist()
    present = (~np.isnan(inputs.value)).tolist()
    member, time_us, scored = inputs.member.tolist(), inputs.time_us.tolist(), points.tolist()
    rows = []
    for row, end in enumerate(end_us):
        moved = inputs.explained[row]
        columns = zip(
            _SIGNS,
            present[row],
            member[row],
            shown[row],
            time_us[row],
            quality[row],
            scored[row],
            strict=True,
        )
        rows.append(
            tuple(
                _explained(_entry(source, x, t, (end - t) / 1e6, q, n), moved.get(sign, ()))
                for sign, p, source, x, t, q, n in columns
                if p
            )
        )
    return rows


def _entry(
    member: int, shown: float, time_us: int, age_s: float, quality: float, points: int
) -> Evidence:
    """Evidence of one input."""
    label, code, unit, modality = _DESCRIPTION[member]
    if code in _WORDED:
        word = word_of(CONCEPTS[CONCEPT[code]], shown)
        label = f"{label}: {word}" if word else label
    return Evidence(label, code, shown, unit, time_us, age_s, modality, quality, float(points))


def _explained(item: Evidence, care: Sequence[Explanation]) -> Evidence:
    """Evidence with the care before it that may have moved it."""
    lines = tuple(line for line, since_us in care if since_us <= item.time_us)
    return msgspec.structs.replace(item, explained_by=lines) if lines else item


def _describe() -> list[tuple[str, str, str, str]]:
    """Label, code, unit and modality of each member of the pool but the last."""
    features = [CATALOG[column] for column in _FEATURE_COLUMNS]
    concepts = [CONCEPTS[column] for column in _CONCEPT_COLUMNS]
    return [(f.label, f.name, f.unit, WEARABLE) for f in features] + [
        (c.label, c.code, c.unit, c.modality) for c in concepts
    ]


_DESCRIPTION = _describe()
_WORDED = tuple(concept.code for concept in CONCEPTS if concept.words)


def modalities(items: Sequence[Evidence]) -> tuple[dict[str, float], dict[str, bool]]:
    """Points and presence per modality; the points sum to the score."""
    share = dict.fromkeys(_MODALITIES, 0.0)
    present = dict.fromkeys(_MODALITIES, False)
    for item in items:
        share[item.source] += item.points
        present[item.source] = True
    return share, present
