"""Alerts as CloudEvents 1.0: binary-mode Kafka headers and structured-mode JSON lines.

Not here: the record (`alerts.alert`), topics and keys (`streams.topics`). Nothing that depends on
the run is in either form, so that the digest over all lines is the same live and replayed.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from alerts.alert import AlertEvent, AlertRecord, Priority
from alerts.text import rfc3339

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
DATA_SCHEMA = "urn:vigil:schema:alert.v1"
SEVERITY: Final = {  # OpenTelemetry's scale: INFO, WARN, ERROR, FATAL
    Priority.INFO: 9,
    Priority.LOW: 13,
    Priority.MEDIUM: 17,
    Priority.HIGH: 21,
}
_ENCODER = msgspec.json.Encoder(order="deterministic")


class CloudEvent(msgspec.Struct, frozen=True):
    """Structured mode; the field order is the canonical order of the line."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    recordedtime: str
    sequence: str
    partitionkey: str
    severitynumber: int
    dataschema: str
    datacontenttype: str
    data: AlertEvent


def cloud_event(event: AlertEvent) -> CloudEvent:
    """Wrap an event.

    `time` is when it happened, `recordedtime` when the log came to say so; an amended record
    differs in the latter. `sequence` is zero-padded, because the extension orders it as text.
    """
    return CloudEvent(
        specversion=SPEC_VERSION,
        id=event.event_id,
        source=f"/vigil/alerts/{quote(event.tenant, safe='')}",
        type=f"io.vigil.alert.{event.phase}.v1",
        subject=event.subject,
        time=rfc3339(event.event_us),
        recordedtime=rfc3339(event.recorded_us),
        sequence=f"{event.seq:010d}",
        partitionkey=event.subject,
        severitynumber=SEVERITY[event.priority],
        dataschema=DATA_SCHEMA,
        datacontenttype=CONTENT_TYPE,
        data=event,
    )


def cloud_event_headers(event: AlertEvent) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of an event in binary mode; the value is `alert_value`."""
    wrapped = cloud_event(event)
    names = [name for name in CloudEvent.__struct_fields__ if name not in _NOT_CE]
    headers = [(f"ce_{name}", str(getattr(wrapped, name)).encode()) for name in names]
    return [*headers, ("content-type", CONTENT_TYPE.encode())]


def cloud_event_json(event: AlertEvent) -> bytes:
    """Return an event in structured mode: one line without its end, in canonical key order."""
    return _ENCODER.encode(cloud_event(event))


def alert_value(event: AlertEvent) -> bytes:
    """Return the value of `vigil.alerts.v1`; never empty, which would be a tombstone."""
    return _ENCODER.encode(event)


def state_value(record: AlertRecord) -> bytes:
    """Return the value of `vigil.alert-state.v1`, whose key is `record.dedup_key`."""
    return _ENCODER.encode(record.record() if isinstance(record, AlertEvent) else record)


_NOT_CE: Final = ("datacontenttype", "data")
