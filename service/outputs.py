"""What the engine says, as bytes: one place for the JSON of features, scores and dead letters."""

from __future__ import annotations

import base64
import math
from typing import NamedTuple, TypeVar

import msgspec

from alerts.alert import AlertEvent
from alerts.envelope import alert_value, cloud_event_headers, state_value
from features.align import FeatureBatch
from features.catalog import CATALOG, FeatureReason
from models.score import Score
from streams.processor import Output
from streams.records import LogRecord, Rejected

T = TypeVar("T")
_JSON = msgspec.json.Encoder(order="deterministic")
_OTHER = int(FeatureReason.OTHER_WINDOW)


class FeatureRow(msgspec.Struct, frozen=True):
    """One window of one patient on `vigil.features.v1`; absent values are null with a reason."""

    patient_id: str
    window: str
    start_us: int
    end_us: int
    known_us: int
    revision: int
    values: dict[str, float | None]
    quality: dict[str, float]
    coverage: dict[str, float]
    n: dict[str, int]
    reason: dict[str, str]


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


def feature_rows(batch: FeatureBatch) -> list[FeatureRow]:
    """Rows of a batch as records; columns of other windows are left out."""
    rows = []
    for i, window in enumerate(batch.windows):
        columns = [j for j in range(len(CATALOG)) if batch.reason[i, j] != _OTHER]
        value = [None if math.isnan(v) else v for v in batch.value[i].tolist()]
        reason = [FeatureReason(code).name.lower() for code in batch.reason[i].tolist()]
        rows.append(
            FeatureRow(
                *window,
                values=_named(columns, value),
                quality=_named(columns, [round(q, 4) for q in batch.quality[i].tolist()]),
                coverage=_named(columns, [round(c, 4) for c in batch.coverage[i].tolist()]),
                n=_named(columns, batch.n[i].tolist()),
                reason=_named(columns, reason),
            )
        )
    return rows


def _named(columns: list[int], values: list[T]) -> dict[str, T]:
    return {CATALOG[j].name: values[j] for j in columns}


def feature_output(row: FeatureRow, caused: Caused) -> Output:
    """A feature row as a message."""
    return Output("features", row.patient_id, *caused, _JSON.encode(row))


def score_output(score: Score, caused: Caused) -> Output:
    """A score as a message."""
    return Output("scores", score.patient_id, *caused, _JSON.encode(score))


def alert_outputs(event: AlertEvent, caused: Caused) -> tuple[Output, Output]:
    """An alert event for the append-only topic, and the state it leaves for the compacted one."""
    headers = tuple(cloud_event_headers(event))
    alert = Output("alerts", event.subject, *caused, alert_value(event), headers)
    return alert, Output("alert-state", event.dedup_key, *caused, state_value(event), headers)


def dead_letter(record: LogRecord, rejected: Rejected, caused: Caused) -> Output:
    """A refusal as a message; nothing but the original bytes names the patient."""
    letter = DeadLetter(
        rejected.reason.value,
        rejected.detail,
        record.partition,
        record.offset,
        rejected.index,
        base64.b64encode(rejected.original).decode(),
    )
    return Output("dlq", f"{record.partition}:{record.offset}", *caused, _JSON.encode(letter))
