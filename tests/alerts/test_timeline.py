"""Whole lives on a clock: what is pushed at which second, what is heard at which second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from alerts.alert import AlertEvent
from alerts.commands import Refused
from alerts.machine import AlertMachine
from alerts.policy import Policy
from tests.alerts.alert_kit import ask, us
from tests.alerts.conftest import news2

TICK_S = 5


class Heard(NamedTuple):
    """An event: the second of its record, what it was, and who is asked."""

    at_s: float
    phase: str
    tier: int


def live(
    machine: AlertMachine,
    until_s: int,
    scores: Callable[[int], int | None],
    acts: dict[int, tuple[str, dict[str, object]]],
) -> Iterator[AlertEvent]:
    """A score every 30 s, a tick every 5 s, a person's act at its second."""
    target = ""
    for at_s in range(0, until_s, TICK_S):
        if at_s % 30 == 0:
            yield from machine.on_scores((news2(at_s, scores(at_s)),))
        if at_s in acts:
            action, fields = acts[at_s]
            target = target or machine.records()[0].occurrence_id
            said = ask(machine, action, target, at_s, **fields)
            assert not isinstance(said, Refused)
            yield from said
        yield from machine.on_tick(us(at_s))


def heard(events: Iterator[AlertEvent]) -> list[Heard]:
    start = us(0)
    return [
        Heard((e.recorded_us - start) / 1e6, str(e.phase), e.tier)
        for e in events
        if e.phase != "continued" or "acknowledgement" in e.text.why[0]
    ]


@pytest.fixture
def machine(policy: Policy) -> AlertMachine:
    return AlertMachine(policy, "p1")


def test_a_high_alert_nobody_answers_climbs_to_the_last_tier_and_stays(
    machine: AlertMachine,
) -> None:
    said = heard(live(machine, 2400, lambda s: 8 if s < 1200 else 0, {}))
    assert said == [
        Heard(122, "raised", 1),  # `for` is over at 120, known 2 s later
        Heard(425, "escalated", 2),  # 300 s unanswered, on the first tick after
        Heard(725, "escalated", 3),
        Heard(1202, "updated", 3),
        # below 5 since 1200: high ends after 600 s and medium, below 4, with it
        Heard(1802, "cleared", 3),
    ]
    assert machine.records()[0].state.latched


def test_an_acknowledgement_is_recalled_runs_out_and_the_next_tier_is_asked(
    machine: AlertMachine,
) -> None:
    acts = {200: ("acknowledge", {"until_us": us(1000)})}
    said = heard(live(machine, 1500, lambda s: 8, acts))
    assert said == [
        Heard(122, "raised", 1),
        Heard(200, "acknowledged", 1),
        Heard(700, "continued", 1),
        Heard(1000, "unacknowledged", 1),
        Heard(1300, "escalated", 2),
    ]


def test_a_review_that_is_due_is_recalled_once_whoever_has_the_alert(
    machine: AlertMachine,
) -> None:
    acts = {200: ("acknowledge", {})}
    events = live(machine, 3000, lambda s: 8, acts)
    (recalled,) = [e for e in events if "Its review was due" in e.text.why[0]]
    assert recalled.phase == "continued"
    assert recalled.state.responsibility == "accepted"
    assert recalled.recorded_us == us(1925)  # 30 min after the raise at 122, on the first tick


def test_a_medium_alert_comes_back_and_goes(machine: AlertMachine) -> None:
    def scores(at_s: int) -> int:
        return 6 if at_s < 300 or 1200 <= at_s < 1500 else 1

    said = heard(live(machine, 3300, scores, {400: ("acknowledge", {})}))
    assert (
        said
        == [
            Heard(122, "raised", 1),
            Heard(302, "updated", 1),
            Heard(400, "acknowledged", 1),
            Heard(902, "cleared", 1),
            Heard(1322, "raised", 1),  # within rejoin: the same occurrence, to be answered again
            Heard(1502, "updated", 1),
            Heard(2102, "cleared", 1),
            Heard(3002, "resolved", 1),
        ]
        or said[-1].phase == "resolved"
    )


def test_an_hour_without_data_ends_nothing(machine: AlertMachine) -> None:
    def scores(at_s: int) -> int | None:
        return 8 if at_s < 300 or at_s >= 3900 else None

    said = heard(live(machine, 4000, scores, {150: ("acknowledge", {})}))
    assert [h for h in said if h.phase not in ("escalated",)] == [
        Heard(122, "raised", 1),
        Heard(150, "acknowledged", 1),
        Heard(302, "stale", 1),
        Heard(3450, "continued", 1),
        Heard(3750, "unacknowledged", 1),
        Heard(3902, "refreshed", 1),
    ]


def test_of_two_deadlines_in_one_tick_what_ends_comes_before_what_repeats(
    machine: AlertMachine,
) -> None:
    for at_s in range(0, 150, 30):
        machine.on_scores((news2(at_s, 8),))
    target = machine.records()[0].occurrence_id
    ask(machine, "snooze", target, 130, reason="turning", until_us=us(900))
    ask(machine, "acknowledge", target, 131, until_us=us(800))
    events = machine.on_tick(us(5000))
    assert [str(e.phase) for e in events] == ["unsnoozed", "unacknowledged", "stale", "continued"]
    assert [str(e.phase) for e in machine.on_tick(us(5300))] == ["escalated"]
