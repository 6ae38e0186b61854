"""PagerDuty Events v2: one incident per occurrence, and only phases it has words for."""

from __future__ import annotations

import pytest

from alerts.alert import Phase, Priority
from service.emitters.pagerduty import ACTION, document, letter
from tests.service.emitters.emitter_kit import Listener, life, raised

KEY = "R" * 32
# What the public Events API v2 reference demands of an event.
SCHEMA = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "properties": {
                "summary": {"type": "string", "maxLength": 1024},
                "source": {"type": "string"},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string"},
            },
        },
    },
    "allOf": [
        {
            "if": {"properties": {"event_action": {"const": "trigger"}}},
            "then": {"required": ["payload"]},
            "else": {"required": ["dedup_key"]},
        }
    ],
}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_is_valid_or_not_told(phase: Phase) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    said = document(raised(phase=phase), KEY)
    assert (said is None) == (phase not in ACTION)
    if said is not None:
        jsonschema.validate(said, SCHEMA)


def test_a_life_is_one_incident_triggered_acknowledged_resolved(listener: Listener) -> None:
    said = [document(event, KEY) for event in life("occ-1")]
    actions = [each["event_action"] for each in said if each]
    assert actions == ["trigger", "acknowledge", "resolve"]
    assert {each["dedup_key"] for each in said if each} == {"occ-1"}


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("high", "critical"), ("medium", "error"), ("low", "warning"), ("info", "info")],
)
def test_priorities_are_severities(priority: str, severity: str) -> None:
    said = document(raised(priority=Priority(priority)), KEY)
    assert said is not None
    assert said["payload"]["severity"] == severity


def test_a_long_name_does_not_make_the_event_invalid() -> None:
    said = document(raised(subject="x" * 5000), KEY)
    assert said is not None
    assert len(said["payload"]["summary"]) == 1024


def test_the_link_is_only_there_when_its_base_is() -> None:
    assert letter(raised(), "http://h/", KEY, "") is not None
    said = document(raised(), KEY, "https://vigil.example/")
    assert said is not None
    assert said["client_url"].startswith("https://vigil.example/alerts/")
