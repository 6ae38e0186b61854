"""The mapping table of the alert design, row by row, out and back."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from alerts.alert import (
    AlertEvent,
    Axes,
    Condition,
    Kind,
    Phase,
    Priority,
    Resolution,
    Responsibility,
    Suppression,
)
from alerts.machine import AlertMachine
from alerts.outward import (
    PHASES,
    PRIORITIES,
    TYPES,
    VOCABULARIES,
    WORDS,
    Position,
    acm_phase,
    calls,
    inward,
    outward,
    position,
)

ACTIVE, LATCHED, CLEARED = Condition.ACTIVE, Condition.LATCHED, Condition.CLEARED
NONE, ACCEPTED = Responsibility.NONE, Responsibility.ACCEPTED
REJECTED, UNDEFINED = Responsibility.REJECTED, Responsibility.UNDEFINED

TABLE = [
    (None, "NORM", None, "inactive", "enabled", False, "off", "on"),
    (Axes(Condition.PENDING), "NORM", None, "inactive", "enabled", False, "off", "on"),
    (Axes(ACTIVE, NONE), "UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on", "on"),
    (Axes(ACTIVE, REJECTED), "UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on", "on"),
    (Axes(ACTIVE, UNDEFINED), "UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on", "on"),
    (
        Axes(ACTIVE, ACCEPTED),
        "ACKED", "ACTIVE_ACK", "active", "alert-acknowledged", True, "ack", "on",
    ),
    (
        Axes(LATCHED, NONE, latched=True),
        "RTNUN", "CLEARED_UNACK", "latched", "enabled", False, "latched", "on",
    ),
    (Axes(CLEARED, NONE), "RTNUN", "CLEARED_UNACK", "inactive", "enabled", False, "off", "on"),
    (
        Axes(CLEARED, ACCEPTED),
        "NORM", "CLEARED_ACK", "inactive", "alert-acknowledged", False, "off", "on",
    ),
    *(
        (Axes(ACTIVE, NONE, s), "SHLVD", None, "active", "alarm-paused", True, "off", "paused")
        for s in (Suppression.SNOOZED, Suppression.SILENCED)
    ),
    *(
        (Axes(ACTIVE, NONE, s), "DSUPR", None, "active", "alarm-off", True, "off", "off")
        for s in (Suppression.INHIBITED, Suppression.MAINTENANCE)
    ),
    (
        Axes(ACTIVE, NONE, Suppression.OUT_OF_SERVICE),
        "OOSRV", None, "inactive", "alarm-off", False, "off", "off",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row[1:3]))
def test_a_state_is_said_as_the_table_has_it_and_found_again(row: tuple[object, ...]) -> None:
    axes, *words = row
    assert isinstance(axes, Axes | None)
    assert list(outward(axes)) == words
    mine = position(axes)
    said = outward(axes)
    for vocabulary, fields in VOCABULARIES.items():
        assert mine in inward(vocabulary, *(getattr(said, field) for field in fields))


def test_all_axes_have_exactly_one_place() -> None:
    for axes in itertools.product(Condition, Responsibility, Suppression, (False, True)):
        assert position(Axes(*axes)) in Position


@pytest.mark.parametrize("resolution", [Resolution.CLOSED, Resolution.RETRACTED])
def test_what_is_closed_is_normal(resolution: Resolution) -> None:
    assert position(Axes(ACTIVE, resolution=resolution)) is Position.NORMAL


def test_what_is_over_is_told_as_over_though_it_is_held_back() -> None:
    assert position(Axes(LATCHED, NONE, Suppression.SNOOZED)) is Position.LATCHED
    assert position(Axes(CLEARED, NONE, Suppression.INHIBITED)) is Position.OVER_UNACKED


@pytest.mark.parametrize(
    ("vocabulary", "words", "rows"),
    [
        ("isa", ("UNACK",), ["unacked"]),
        ("isa", ("RTNUN",), ["latched", "over_unacked"]),
        ("isa", ("NORM",), ["normal", "over_acked"]),
        ("thingsboard", ("CLEARED_ACK",), ["over_acked"]),
        ("acm", ("latched", "enabled"), ["latched"]),
        ("device_alert", (True, "ack", "on"), ["acked"]),
        ("device_alert", (False, "off", "on"), ["normal", "over_unacked", "over_acked"]),
        ("isa", ("nonsense",), []),
    ],
)
def test_a_word_means_the_rows_that_say_it(
    vocabulary: str, words: tuple[str | bool | None, ...], rows: list[str]
) -> None:
    assert [str(row) for row in inward(vocabulary, *words)] == rows


def test_every_row_priority_and_phase_has_words() -> None:
    assert set(WORDS) == set(Position)
    assert set(PRIORITIES) == set(Priority)
    assert set(PHASES) == set(Phase)
    assert set(TYPES) == set(Kind)


def event_of(raised: tuple[AlertMachine, AlertEvent], phase: Phase, axes: Axes) -> AlertEvent:
    return msgspec.structs.replace(raised[1], phase=phase, state=axes)


def test_only_what_is_there_is_present_and_stale_is_still_there() -> None:
    for axes in itertools.product(Condition, Responsibility, Suppression, (False, True)):
        assert not (outward(Axes(*axes)).presence and axes[0] is not ACTIVE)
        assert outward(Axes(*axes)).isa
    assert outward(Axes(ACTIVE, stale=True)).presence


@pytest.mark.parametrize(
    ("phase", "axes", "acm"),
    [
        (Phase.RAISED, Axes(ACTIVE), "start"),
        (Phase.CONTINUED, Axes(ACTIVE), "continue"),
        (Phase.ESCALATED, Axes(ACTIVE), "escalate"),
        (Phase.DEESCALATED, Axes(ACTIVE), "deescalate"),
        (Phase.STALE, Axes(ACTIVE, stale=True), "update"),
        (Phase.CLEARED, Axes(CLEARED), "end"),
        (Phase.CLEARED, Axes(LATCHED, latched=True), "update"),
        (Phase.ACKNOWLEDGED, Axes(ACTIVE, ACCEPTED), "update"),
        (Phase.ACKNOWLEDGED, Axes(CLEARED, ACCEPTED), "reset"),
        (Phase.RESOLVED, Axes(CLEARED, resolution=Resolution.CLOSED), ""),
        (Phase.RESOLVED, Axes(LATCHED, resolution=Resolution.CLOSED), "reset"),
        (Phase.RESOLVED, Axes(ACTIVE, resolution=Resolution.CLOSED), "end"),
        (Phase.RETRACTED, Axes(ACTIVE, resolution=Resolution.RETRACTED), "end"),
        (Phase.FEEDBACK, Axes(ACTIVE), ""),
    ],
)
def test_a_latched_alert_does_not_end_it_is_reset(
    raised: tuple[AlertMachine, AlertEvent], phase: Phase, axes: Axes, acm: str
) -> None:
    assert acm_phase(phase, event_of(raised, phase, axes)) == acm


@pytest.mark.parametrize(
    ("phase", "axes", "wanted"),
    [
        (Phase.RAISED, Axes(ACTIVE), True),
        (Phase.RAISED, Axes(ACTIVE, suppression=Suppression.SILENCED), False),
        (Phase.UNSUPPRESSED, Axes(ACTIVE), True),
        (Phase.UNSUPPRESSED, Axes(ACTIVE, ACCEPTED), False),
        (Phase.UNSUPPRESSED, Axes(ACTIVE, suppression=Suppression.SNOOZED), False),
        (Phase.UNSUPPRESSED, Axes(CLEARED), False),
        (Phase.UNSUPPRESSED, Axes(LATCHED, latched=True), True),
        (Phase.UNSNOOZED, Axes(ACTIVE), True),
        (Phase.UNACKNOWLEDGED, Axes(ACTIVE, UNDEFINED), True),
        (Phase.UNACKNOWLEDGED, Axes(ACTIVE, UNDEFINED, Suppression.INHIBITED), False),
        (Phase.REJECTED, Axes(LATCHED, REJECTED, latched=True), True),
        (Phase.ESCALATED, Axes(ACTIVE, UNDEFINED), True),
        (Phase.UPDATED, Axes(ACTIVE), False),
        (Phase.RETRACTED, Axes(ACTIVE, resolution=Resolution.RETRACTED), False),
    ],
)
def test_a_step_calls_somebody_only_when_its_signal_is_on_and_nobody_has_it(
    raised: tuple[AlertMachine, AlertEvent], phase: Phase, axes: Axes, wanted: bool
) -> None:
    assert calls(event_of(raised, phase, axes)) is wanted
