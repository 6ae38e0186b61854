"""The one table of states elsewhere: every row of the design, and what must never be said."""

from __future__ import annotations

import itertools

import pytest

from alerts.alert import Condition, Phase, Resolution, Responsibility, Suppression
from service.emitters.states import acm_phase, outward
from tests.service.emitters.emitter_kit import axes, raised

ACCEPTED = Responsibility.ACCEPTED
ROWS = [
    # state, ISA, ThingsBoard, 68482, 68483, presence, signal.presence, activationState
    ({}, "UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on", "on"),
    (
        {"responsibility": ACCEPTED},
        *("ACKED", "ACTIVE_ACK", "active", "alert-acknowledged", True, "ack", "on"),
    ),
    (
        {"condition": Condition.LATCHED, "latched": True},
        *("RTNUN", "CLEARED_UNACK", "latched", "enabled", False, "latched", "on"),
    ),
    (
        {"condition": Condition.CLEARED},
        *("RTNUN", "CLEARED_UNACK", "inactive", "enabled", False, "off", "on"),
    ),
    (
        {"condition": Condition.CLEARED, "responsibility": ACCEPTED},
        *("NORM", "CLEARED_ACK", "inactive", "alert-acknowledged", False, "off", "on"),
    ),
    (
        {"suppression": Suppression.SNOOZED},
        *("SHLVD", "", "active", "alarm-paused", True, "off", "paused"),
    ),
    ({"condition": Condition.PENDING}, "NORM", "", "inactive", "enabled", False, "off", "on"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1] + "-" + row[4])
def test_every_row_of_the_table(row: tuple[object, ...]) -> None:
    state, *wanted = row
    assert isinstance(state, dict)
    assert list(outward(raised(state=axes(**state)))) == wanted


@pytest.mark.parametrize("name", ["silenced", "inhibited", "maintenance", "out_of_service"])
def test_a_suppression_this_build_does_not_set_is_mapped_too(name: str) -> None:
    state = outward(raised(state=axes(suppression=name)))
    assert state.isa in ("SHLVD", "DSUPR", "OOSRV")
    assert state.signal == "off"


def test_no_state_is_without_words_and_a_stale_alert_is_still_there() -> None:
    values = [tuple(a) for a in (Condition, Responsibility, Suppression, Resolution)]
    for c, r, s, e in itertools.product(*values):
        for stale in (False, True):
            state = axes(condition=c, responsibility=r, suppression=s, resolution=e, stale=stale)
            said = outward(raised(state=state))
            assert said.isa
            assert not (said.present and c is not Condition.ACTIVE)
            if e is not Resolution.OPEN:
                assert not said.present
    assert outward(raised(state=axes(stale=True))).present


@pytest.mark.parametrize(
    ("phase", "state", "wanted"),
    [
        (Phase.RAISED, {}, "start"),
        (Phase.CONTINUED, {}, "continue"),
        (Phase.ESCALATED, {}, "escalate"),
        (Phase.DEESCALATED, {}, "deescalate"),
        (Phase.ACKNOWLEDGED, {"responsibility": ACCEPTED}, "update"),
        (Phase.STALE, {"stale": True}, "update"),
        (Phase.CLEARED, {"condition": Condition.CLEARED}, "end"),
        (Phase.CLEARED, {"condition": Condition.LATCHED, "latched": True}, "update"),
        (Phase.ACKNOWLEDGED, {"condition": Condition.CLEARED}, "reset"),
        (Phase.RESOLVED, {"condition": Condition.CLEARED, "resolution": Resolution.CLOSED}, ""),
        (
            Phase.RESOLVED,
            {"condition": Condition.LATCHED, "resolution": Resolution.CLOSED},
            "reset",
        ),
        (Phase.RESOLVED, {"resolution": Resolution.CLOSED}, "end"),
        (Phase.RETRACTED, {"resolution": Resolution.RETRACTED}, "end"),
    ],
)
def test_the_acm_phase_of_every_step(phase: Phase, state: dict[str, object], wanted: str) -> None:
    assert acm_phase(phase, raised(phase=phase, state=axes(**state))) == wanted
