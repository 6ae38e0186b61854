"""PagerDuty Events v2: one incident per occurrence, and only phases it has words for."""

from __future__ import annotations

import pytest

from alerts.alert import AlertEvent, Condition, Phase, Priority, Responsibility, Suppression
from alerts.outward import CALLS
from service.emitters.pagerduty import ACTION, document, letter
from tests.service.emitters.emitter_kit import Listener, axes, life, raised, step

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
    assert (said is None) == (phase not in ACTION and phase not in CALLS)
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


SILENCED = {"suppression": Suppression.SILENCED}
RELEASED = {"suppression": Suppression.NONE}


def actions(*events: AlertEvent) -> list[str]:
    said = [document(event, KEY) for event in events]
    return [each["event_action"] for each in said if each]


def test_what_is_raised_quiet_pages_nobody_until_nothing_holds_it_back() -> None:
    born = raised("occ-1", state=axes(**SILENCED))
    again = step(born, Phase.UNACKNOWLEDGED)
    let_go = step(again, Phase.UNSUPPRESSED, **RELEASED)
    assert actions(born, again) == []
    assert actions(let_go) == ["trigger"]


def test_what_is_held_back_pages_no_longer_and_pages_anew() -> None:
    first = raised("occ-1")
    held = step(first, Phase.SUPPRESSED, **SILENCED)
    let_go = step(held, Phase.UNSUPPRESSED, **RELEASED)
    assert actions(first, held, let_go) == ["trigger", "resolve", "trigger"]
    snoozed = step(first, Phase.SNOOZED, suppression=Suppression.SNOOZED)
    assert actions(snoozed, step(snoozed, Phase.UNSNOOZED, **RELEASED)) == ["resolve", "trigger"]


def test_what_is_over_or_taken_pages_nobody_when_it_is_let_go() -> None:
    held = step(raised("occ-1"), Phase.SUPPRESSED, **SILENCED)
    taken = step(held, Phase.UNSUPPRESSED, responsibility=Responsibility.ACCEPTED, **RELEASED)
    over = step(held, Phase.UNSUPPRESSED, condition=Condition.CLEARED, **RELEASED)
    assert actions(taken, over) == []
