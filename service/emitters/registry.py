"""From a `[deliver.NAME]` table to a mapper and a sender. Clients are imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from service.emitters import alertmanager, fhir, hl7v2, pagerduty, webhook
from service.emitters.contract import Mapper, Sender
from service.emitters.spec import (
    AlertmanagerSpec,
    AnySpec,
    FhirSpec,
    Hl7Spec,
    HttpSpec,
    PagerDutySpec,
    WebhookSpec,
    secret_of,
)


class Emitter(NamedTuple):
    """What one table describes."""

    mapper: Mapper
    sender: Sender


def open_emitter(name: str, spec: AnySpec) -> Emitter:
    """Build an emitter; connects to nothing.

    Raises
    ------
    ConfigError
        If its secret or its certificates cannot be read.
    """
    return Emitter(_mapper(spec, secret_of(name, spec)), _sender(spec))


def _mapper(spec: AnySpec, secret: str) -> Mapper:
    match spec:
        case WebhookSpec():
            return webhook.mapper(spec.url, secret)
        case AlertmanagerSpec():
            times_s = (spec.resend_s, spec.hold_s, spec.resolved_s)
            return alertmanager.Mapper(spec.url, secret, times_s, spec.labels, spec.link_base)
        case PagerDutySpec():
            return pagerduty.mapper(spec.url, secret, spec.link_base)
        case FhirSpec():
            return fhir.mapper(spec, secret)
        case Hl7Spec():
            return hl7v2.mapper(spec)


def _sender(spec: AnySpec) -> Sender:
    folder = spec.folder if isinstance(spec, FhirSpec | Hl7Spec) else ""
    if folder:
        from service.emitters.folder import FolderSender

        return FolderSender(Path(folder))
    if isinstance(spec, Hl7Spec):
        from service.emitters.mllp import MllpSender

        return MllpSender(spec.host, spec.port, spec.timeout_s, spec.tls, spec.ca_file)
    from service.emitters.http import HttpSender

    assert isinstance(spec, HttpSpec)
    return HttpSender(spec.timeout_s, spec.ca_file)
