"""FHIR letters, either version, to a server or into a folder."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.alert import AlertEvent
from service.emitters.contract import Document, HttpRequest, Letter, Plain
from service.emitters.fhir_r4b import bundle
from service.emitters.fhir_r6 import device_alert
from service.emitters.spec import FhirSpec


def mapper(spec: FhirSpec, token: str) -> Plain:
    """The emitter's mapper."""
    return Plain(lambda event, now_us: letter(event, spec, token))


def letter(event: AlertEvent, spec: FhirSpec, token: str) -> Letter:
    """The resource or transaction of an event, as a request or a file."""
    r6 = spec.version == "R6"
    said: dict[str, Any] = (device_alert if r6 else bundle)(event, spec.patient_system)
    body = msgspec.json.encode(said)
    ids = (event.event_id,)
    if spec.folder:
        return Letter(ids, Document(f"{event.occurrence_id}-{event.seq:06d}.json", body))
    base = spec.url.rstrip("/")
    headers = [("Content-Type", "application/fhir+json"), ("Accept", "application/fhir+json")]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    target = ("PUT", f"{base}/DeviceAlert/{event.occurrence_id}") if r6 else ("POST", base)
    return Letter(ids, HttpRequest(*target, tuple(headers), body))
