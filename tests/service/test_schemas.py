"""The published schemas are those of the records, and the records obey them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.alert import Phase
from alerts.envelope import alert_value, cloud_event_headers, cloud_event_json, state_value
from service.heartbeat import Heartbeat, heartbeat_value
from service.receipts import receipt_of, receipt_value
from service.schemas import CHANNELS, FOLDER, asyncapi, documents, schema
from streams.topics import TOPICS
from tests.service.emitters.emitter_kit import life, raised

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_files_are_the_generated_ones() -> None:
    wanted = documents()
    assert {path.name for path in FOLDER.glob("*.json")} == set(wanted)
    stale = [name for name, content in wanted.items() if (FOLDER / name).read_bytes() != content]
    assert stale == []  # run: python -m service.schemas


def check(value: bytes, name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema(name))
    kind(schema(name)).validate(json.loads(value))


@pytest.mark.parametrize("phase", list(Phase))
def test_events_states_and_envelopes_obey_their_schemas(phase: Phase) -> None:
    event = raised(phase=phase)
    check(alert_value(event), "alert-event.v1")
    check(state_value(event), "alert-state.v1")
    check(cloud_event_json(event), "cloud-event.v1")


def test_receipts_and_heartbeats_obey_theirs() -> None:
    check(receipt_value(receipt_of(raised(), "pager", 5)), "receipt.v1")
    beat = Heartbeat(
        instance="w1", at_us=1, started_us=0, self_checks=3, ready=True, partitions=(0,), lag_s=None
    )
    check(heartbeat_value(beat), "heartbeat.v1")


def test_what_breaks_the_record_breaks_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    wrong = json.loads(alert_value(raised()))
    wrong["priority"] = "urgent"
    with pytest.raises(jsonschema.ValidationError):
        check(json.dumps(wrong).encode(), "alert-event.v1")


def test_a_record_with_a_field_of_tomorrow_is_still_valid() -> None:
    later = json.loads(alert_value(raised()))
    later["of_tomorrow"] = 1
    check(json.dumps(later).encode(), "alert-event.v1")


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for item in node for ref in references(item)] if isinstance(node, list) else []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.1.0"
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_asyncapi_document_names_every_topic_but_the_engine_s_own() -> None:
    assert set(CHANNELS) == set(TOPICS) - {"in", "state"}


def test_the_headers_of_an_alert_are_those_of_the_document() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    said = asyncapi()["components"]["schemas"]["CloudEventHeaders"]
    for event in life("occ-1"):
        headers = {name: value.decode() for name, value in cloud_event_headers(event)}
        jsonschema.validate(headers, said)


def test_a_payload_can_be_read_back_by_the_record() -> None:
    event = raised()
    assert msgspec.json.decode(alert_value(event), type=type(event)) == event
