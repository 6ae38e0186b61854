"""CloudEvents: golden line, headers, and nothing that a decode and encode would change."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from alerts import envelope
from alerts.alert import AlertEvent, AlertRecord, Phase
from alerts.machine import AlertMachine

GOLDEN = Path(__file__).parent / "golden" / "raised_news2_7.json"

Raised = tuple[AlertMachine, AlertEvent]


def test_the_raise_of_a_news2_of_7_is_the_golden_event(raised: Raised) -> None:
    """The golden file is the event, indented; regenerate it only for a new schema version."""
    line = envelope.cloud_event_json(raised[1])
    assert msgspec.json.format(line, indent=2).decode() + "\n" == GOLDEN.read_text("utf-8")


def test_a_structured_event_is_one_line(raised: Raised) -> None:
    assert b"\n" not in envelope.cloud_event_json(raised[1])


def test_a_decoded_event_encodes_to_the_same_bytes(raised: Raised) -> None:
    line = envelope.cloud_event_json(raised[1])
    again = msgspec.json.decode(line, type=envelope.CloudEvent).data
    assert envelope.cloud_event_json(again) == line
    value = envelope.alert_value(raised[1])
    assert envelope.alert_value(msgspec.json.decode(value, type=AlertEvent)) == value


def test_the_state_is_the_event_without_what_happened(raised: Raised) -> None:
    event = raised[1]
    state = json.loads(envelope.state_value(event))
    assert set(json.loads(envelope.alert_value(event))) - set(state) == {
        "phase",
        "event_us",
        "revised",
        "trigger",
    }
    assert envelope.state_value(event) == envelope.state_value(event.record())
    assert type(event.record()) is AlertRecord


def test_binary_headers_carry_every_attribute(raised: Raised) -> None:
    event = raised[1]
    headers = dict(envelope.cloud_event_headers(event))
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": f"{event.occurrence_id}:1".encode(),
        "ce_source": b"/vigil/alerts/default",
        "ce_type": b"io.vigil.alert.raised.v1",
        "ce_subject": b"p1",
        "ce_time": b"2025-06-15T15:08:40.000000Z",
        "ce_recordedtime": b"2025-06-15T15:08:42.000000Z",
        "ce_sequence": b"0000000001",
        "ce_partitionkey": b"p1",
        "ce_severitynumber": b"21",
        "ce_dataschema": b"urn:vigil:schema:alert.v1",
        "content-type": b"application/json",
    }


def test_a_tenant_that_is_no_uri_is_escaped_in_the_source(raised: Raised) -> None:
    odd = msgspec.structs.replace(raised[1], tenant="st. mary/ward")
    assert envelope.cloud_event(odd).source == "/vigil/alerts/st.%20mary%2Fward"


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_type(raised: Raised, phase: Phase) -> None:
    event = msgspec.structs.replace(raised[1], phase=phase)
    assert re.fullmatch(r"io\.vigil\.alert\.[a-z]+\.v1", envelope.cloud_event(event).type)


def test_markup_in_a_patient_id_stays_data(raised: Raised) -> None:
    odd = msgspec.structs.replace(raised[1], subject='"><script>\u2028\n')
    assert json.loads(envelope.cloud_event_json(odd))["subject"] == odd.subject
    assert b"\n" not in envelope.cloud_event_json(odd)


def test_severity_follows_the_scale_of_opentelemetry() -> None:
    assert {str(p): n for p, n in envelope.SEVERITY.items()} == {
        "info": 9,
        "low": 13,
        "medium": 17,
        "high": 21,
    }
