"""A real Alertmanager: what it was told is what it shows, and nothing lapses by itself."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.alert import AlertEvent, Phase, Priority, Resolution, Responsibility, Suppression
from service.emitters.alertmanager import Mapper
from service.emitters.contract import HttpRequest, Letter
from tests.service.emitters.alertmanager_kit import Alertmanager
from tests.service.emitters.emitter_kit import axes, life, raised, step

TIMES_S = (60.0, 3600.0, 300.0)
S = 1_000_000


def mapper(url: str) -> Mapper:
    return Mapper(url, "", TIMES_S, {"site": "north"}, "https://vigil.example")


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.mark.slow
def test_an_alert_is_shown_with_its_words_and_ends_when_it_is_resolved(
    alertmanager: Alertmanager,
) -> None:
    emitter = mapper(alertmanager.url)
    events = life("occ-1")
    for event in events[:3]:
        alertmanager.post(emitter.letter(event, now_us()))
        emitter.delivered(event, now_us())
    (shown,) = alertmanager.alerts()
    assert shown["labels"]["alertname"] == "deterioration"
    assert shown["labels"]["severity"] == "critical"
    assert shown["labels"]["site"] == "north"
    assert shown["annotations"]["responsibility"] == "accepted"
    assert shown["annotations"]["summary"] == events[2].text.summary
    assert shown["generatorURL"].startswith("https://vigil.example/alerts/")
    assert shown["status"]["state"] == "active"
    alertmanager.post(emitter.letter(events[3], now_us()))
    assert alertmanager.alerts() == []


@pytest.mark.slow
def test_an_escalation_leaves_one_alert_not_two(alertmanager: Alertmanager) -> None:
    emitter = mapper(alertmanager.url)
    low = raised("occ-2", priority=Priority.MEDIUM)
    high = step(low, Phase.ESCALATED, priority=Priority.HIGH)
    for event in (low, high):
        alertmanager.post(emitter.letter(event, now_us()))
        emitter.delivered(event, now_us())
    assert [alert["labels"]["priority"] for alert in alertmanager.alerts()] == ["high"]
    alertmanager.post(emitter.repeat(now_us()))
    assert [alert["labels"]["priority"] for alert in alertmanager.alerts()] == ["high"]


@pytest.mark.slow
def test_everything_open_is_there_again_after_a_restart_of_either(
    alertmanager: Alertmanager,
) -> None:
    emitter = mapper(alertmanager.url)
    emitter.seed([raised(f"occ-{n}").record() for n in range(50)])
    alertmanager.post(emitter.repeat(now_us()))
    assert len(alertmanager.alerts()) == 50


def said(letter: Letter | None) -> list[dict[str, Any]]:
    assert letter is not None
    assert isinstance(letter.content, HttpRequest)
    found: list[dict[str, Any]] = json.loads(letter.content.body)
    return found


def test_a_stale_alert_is_repeated_like_any_other() -> None:
    emitter = mapper("http://h")
    event = step(raised("o"), Phase.STALE, stale=True)
    emitter.delivered(event, 0)
    (alert,) = said(emitter.repeat(now_us()))
    assert alert["annotations"]["stale"] == "true"
    assert alert["endsAt"] > alert["startsAt"]


def test_an_end_is_repeated_for_five_minutes_and_then_no_more() -> None:
    emitter = mapper("http://h")
    event = life("o")[-1]
    emitter.delivered(event, 1000 * S)
    assert len(said(emitter.repeat(1299 * S))) == 1
    assert emitter.repeat(1301 * S) is None


def test_an_emitter_that_is_away_for_less_than_an_hour_resolves_nothing() -> None:
    at_us = now_us()
    (alert,) = said(mapper("http://h").letter(raised("o"), at_us))
    (later,) = said(mapper("http://h").letter(raised("o"), at_us + 3590 * S))
    assert alert["endsAt"] > later["startsAt"]


def test_what_a_person_did_changes_no_label() -> None:
    emitter = mapper("http://h")
    first = raised("o")
    acked = step(first, Phase.ACKNOWLEDGED, responsibility=Responsibility.ACCEPTED)
    labels = [said(emitter.letter(event, 0))[-1]["labels"] for event in (first, acked)]
    assert labels[0] == labels[1]


def told(emitter: Mapper, *events: AlertEvent) -> list[list[bool]]:
    """Per event that is told, whether each of its alerts still stands."""
    found = []
    for event in events:
        letter = emitter.letter(event, now_us())
        if letter is not None:
            stands = [datetime.fromisoformat(a["endsAt"]) > datetime.now(UTC) for a in said(letter)]
            found.append(stands)
        emitter.delivered(event, now_us())
    return found


def test_what_is_held_back_does_not_stand_there_and_comes_back_when_it_is_let_go() -> None:
    emitter = mapper("http://h")
    first = raised("o")
    held = step(first, Phase.SUPPRESSED, suppression=Suppression.SILENCED)
    let_go = step(held, Phase.UNSUPPRESSED, suppression=Suppression.NONE)
    assert told(emitter, first, held) == [[True], [False]]
    assert len(said(emitter.repeat(now_us()))) == 1, "the end is repeated"
    assert told(emitter, let_go) == [[True]]


def test_what_is_raised_quiet_is_not_told_until_nothing_holds_it_back() -> None:
    emitter = mapper("http://h")
    born = raised("o", state=axes(suppression=Suppression.MAINTENANCE))
    emitter.seed([born.record()])
    assert told(emitter, born, step(born, Phase.CONTINUED)) == []
    assert emitter.repeat(now_us()) is None
    assert told(emitter, step(born, Phase.RESOLVED, resolution=Resolution.CLOSED)) == []


@pytest.mark.slow
def test_a_real_alertmanager_shows_nothing_that_is_held_back(alertmanager: Alertmanager) -> None:
    emitter = mapper(alertmanager.url)
    first = raised("occ-3")
    held = step(first, Phase.SUPPRESSED, suppression=Suppression.SILENCED)
    shown = []
    for event in (first, held, step(held, Phase.UNSUPPRESSED, suppression=Suppression.NONE)):
        alertmanager.post(emitter.letter(event, now_us()))
        emitter.delivered(event, now_us())
        shown.append(len(alertmanager.alerts()))
    assert shown == [1, 0, 1]
