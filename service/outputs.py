"""What the engine says, as bytes: one place for the JSON of features, scores and dead letters."""

from __future__ import annotations

import base64
import math
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from alerts.alert import AlertEvent
from alerts.envelope import alert_value, cloud_event_headers, state_value
from features.align import FeatureBatch
from features.catalog import CATALOG, FeatureReason
from models.score import Score
from service.withheld import without_notes
from streams.processor import Output
from streams.records import LogRecord, Rejected

_JSON = msgspec.json.Encoder(order="deterministic")
_OTHER, _NO_SIGNAL = FeatureReason.OTHER_WINDOW, FeatureReason.NO_SIGNAL
SORTED = np.array(sorted(range(len(CATALOG)), key=lambda j: CATALOG[j].name), np.intp)
NAMES = [CATALOG[j].name for j in SORTED.tolist()]  # in order: encoding needs to sort nothing
REASONS = [reason.name.lower() for reason in sorted(FeatureReason)]


class RowHead(msgspec.Struct, frozen=True):
    """What a feature row begins with; fields as `streams.windows.Window`."""

    patient_id: str
    window: str
    start_us: int
    end_us: int
    known_us: int
    revision: int


class FeatureRow(RowHead, frozen=True):
    """One window of one patient on `vigil.features.v1`; absent values are null with a reason."""

    values: dict[str, float | None]
    quality: dict[str, float]
    coverage: dict[str, float]
    n: dict[str, int]
    reason: dict[str, str]
    backfill: bool | UnsetType = UNSET  # true: the window came so late that it pages nobody


class DeadLetter(msgspec.Struct, frozen=True):
    """A refused record on `vigil.dlq.v1`, with its exact bytes (base64)."""

    reason: str
    detail: str
    partition: int
    offset: int
    index: int
    original: str


class Caused(NamedTuple):
    """Where in the log an output comes from."""

    partition: int
    clock_us: int


def told_of(batch: FeatureBatch) -> NDArray[np.bool_]:
    """What is told of each row, [B, F], columns in the order of their names."""
    code = batch.reason[:, SORTED]
    told: NDArray[np.bool_] = (code != _OTHER) & (code != _NO_SIGNAL)
    return told


def feature_rows(batch: FeatureBatch) -> list[FeatureRow]:
    """Rows of a batch as records.

    Columns of other windows, and of signals the patient does not have, are left out: a ward with
    two sensors a patient would otherwise send mostly absences.
    """
    told = told_of(batch)
    row, column = np.nonzero(told)
    at = row, SORTED[column]
    names = [NAMES[j] for j in column.tolist()]
    value = [None if math.isnan(v) else v for v in batch.value[at].tolist()]
    quality, coverage = (
        part[at].astype(np.float64).round(4).tolist() for part in (batch.quality, batch.coverage)
    )
    reason = [REASONS[number] for number in batch.reason[at].tolist()]
    n = batch.n[at].tolist()
    stops = np.cumsum(told.sum(axis=1)).tolist()
    rows, start = [], 0
    for window, stop in zip(batch.windows, stops, strict=True):
        own, start = slice(start, stop), stop
        own_names = names[own]
        rows.append(
            FeatureRow(
                *window,
                values=dict(zip(own_names, value[own], strict=True)),
                quality=dict(zip(own_names, quality[own], strict=True)),
                coverage=dict(zip(own_names, coverage[own], strict=True)),
                n=dict(zip(own_names, n[own], strict=True)),
                reason=dict(zip(own_names, reason[own], strict=True)),
            )
        )
    return rows


def feature_output(patient_id: str, caused: Caused, text: bytes) -> Output:
    """A feature row, encoded already (`service.row_texts`), as a message."""
    return Output("features", patient_id, *caused, text)


def score_output(score: Score, caused: Caused) -> Output:
    """A score as a message."""
    return Output("scores", score.patient_id, *caused, _JSON.encode(score))


def alert_outputs(event: AlertEvent, caused: Caused) -> tuple[Output, Output]:
    """An alert event for the append-only topic, and the state it leaves for the compacted one."""
    headers = tuple(cloud_event_headers(event))
    alert = Output("alerts", event.subject, *caused, alert_value(event), headers)
    return alert, Output("alert-state", event.dedup_key, *caused, state_value(event), headers)


def dead_letter(record: LogRecord, rejected: Rejected, caused: Caused) -> Output:
    """A refusal as a message; only the original bytes name the patient, without words of notes."""
    letter = DeadLetter(
        rejected.reason.value,
        rejected.detail,
        record.partition,
        record.offset,
        rejected.index,
        base64.b64encode(without_notes(rejected.original)).decode(),
    )
    return Output("dlq", f"{record.partition}:{record.offset}", *caused, _JSON.encode(letter))
