"""Every bound holds at its edge: what is just allowed is allowed, one more is not."""

from __future__ import annotations

import pytest

from alerts.commands import MAX_NAME, MAX_WORDS, Refused
from alerts.identity import NAMESPACE
from alerts.ledger import MAX_CLOSED
from alerts.machine import MAX_COMMANDS, AlertMachine
from alerts.occurrence import MAX_ACTIONS
from alerts.policy import Policy, default_policy_text, parse_policy
from alerts.reading import DECIMALS
from alerts.requests import MAX_LOSSES
from alerts.revision import MAX_TRAIL
from alerts.silences import MAX_SILENCES
from alerts.technical import MAX_SOURCES
from alerts.views import MAX_EVIDENCE, MIN_TREND_US
from streams.errors import ConfigError
from tests.alerts.alert_kit import ask, conditions, edited, entry, risk, us

RISK = 'source = "fusion.value"\nlevels = [{ priority = "high", hi = 0.5, lo = 0.4 }]\nfor_s = 0\n'
LOW = """
[condition.low]
display = "Low"
label = "SpO2"
source = "limits.input"
input = "spo2"
side = "below"
levels = [{ priority = "medium", hi = 90, lo = 92 }, { priority = "high", hi = 85, lo = 88 }]
"""


def test_the_bounds_are_the_documented_ones() -> None:
    bounds = (MAX_EVIDENCE, MAX_ACTIONS, MAX_CLOSED, MAX_SOURCES, MAX_COMMANDS, MAX_SILENCES)
    assert bounds == (16, 16, 4, 16, 128, 32)
    assert (MAX_LOSSES, MAX_TRAIL, MAX_NAME, MAX_WORDS) == (8, 64, 200, 2000)
    assert (DECIMALS, MIN_TREND_US) == (4, 300_000_000)
    assert str(NAMESPACE) == "6f1f5c0e-6c5b-5d0a-9d3e-0b7c5a4e2d11"


def test_an_alert_shows_at_most_so_many_inputs() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    items = tuple(entry(f"x{n}", 1.0) for n in range(MAX_EVIDENCE + 1))
    (event,) = machine.on_scores((risk(0, 0.6, evidence=items),))
    assert [e.code for e in event.evidence] == [f"x{n}" for n in range(MAX_EVIDENCE)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("utc_offset_min = 0", "utc_offset_min = 840"),
        ("utc_offset_min = 0", "utc_offset_min = -840"),
        ("for_s = 120", "for_s = 31622400"),
        ("for_s = 120", "for_s = 0"),
        ("revise_s = 120", "revise_s = 0"),
        ("min_completeness = 0.4", "min_completeness = 0"),
        ("min_completeness = 0.4", "min_completeness = 1"),
        ("severe_quality = 0.8", "severe_quality = 1"),
        ("severe = 9", "severe = 7"),
        ("lo = 4 }", "lo = 5 }"),
        ("hi = 7, lo = 5", "hi = 7, lo = 4"),
        ("hi = 7, lo = 5", "hi = 5.0001, lo = 5"),
        ("max_tier = 3", "max_tier = 1"),
        ("update_delta = 1.0", "update_delta = 0.0001"),
    ],
)
def test_a_value_at_the_edge_of_what_is_allowed_is_allowed(old: str, new: str) -> None:
    edited((old, new))


@pytest.mark.parametrize(
    "extra",
    [
        "repeats = 1",
        "repeats = 16\nwithin_s = 0.001",
        "disagree = 0.0001",
        "severe = 85",
        "personal = { floor = 90, ceiling = 90 }",
        "personal = { floor = 84, ceiling = 92, offset = 0, ratio = 0.0001 }",
        'when = [{ from = "00:00", to = "23:59", for_s = 0 }]',
        'when = [{ wards = ["W"], keep_s = 31622400 }]',
    ],
)
def test_a_condition_at_the_edge_of_what_is_allowed_is_allowed(extra: str) -> None:
    assert "low" in parse_policy(default_policy_text() + LOW + extra + "\n").conditions


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("utc_offset_min = 0", "utc_offset_min = -841"),
        ("for_s = 120", "for_s = 31622401"),
        ("min_completeness = 0.4", "min_completeness = -0.01"),
        ("severe_quality = 0.8", "severe_quality = 1.01"),
        ("severe_completeness = 0.4", "severe_completeness = 2"),
        ("continued_s = 600", "continued_s = -1"),
        ("ack_s = 3600", "ack_s = -1"),
        ("rejoin_s = 900\n\n[technical.lead_off]", "rejoin_s = -1\n\n[technical.lead_off]"),
        ('tenant = "default"', 'tenant = ""'),
        ('version = "2026.1"', 'version = ""'),
    ],
)
def test_a_value_beyond_the_edge_is_refused(old: str, new: str) -> None:
    with pytest.raises(ConfigError, match="must"):
        edited((old, new))


def test_words_and_names_of_exactly_the_longest_are_taken(policy: Policy) -> None:
    machine = AlertMachine(policy, "p1")
    machine.on_fault("KeyError", us(0))
    target = machine.records()[0].occurrence_id
    long = {"actor": "a" * MAX_NAME, "role": "r" * MAX_NAME, "command_id": "c" * MAX_NAME}
    said = ask(machine, "comment", target, 1, reason="x" * MAX_WORDS, **long)
    assert not isinstance(said, Refused)
    assigned = ask(machine, "assign", target, 2, reason="w" * MAX_NAME)
    assert assigned[0].assignee == "w" * MAX_NAME


def test_the_longest_snooze_and_the_shortest_acknowledgement_are_taken(policy: Policy) -> None:
    machine = AlertMachine(policy, "p1")
    machine.on_fault("KeyError", us(0))  # high: at most 900 s
    target = machine.records()[0].occurrence_id
    longest = ask(machine, "snooze", target, 0, reason="x", until_us=us(900))
    assert longest[0].expires_us == us(900)
    beyond = ask(machine, "snooze", target, 1, reason="x", until_us=us(901) + 1)
    assert isinstance(beyond, Refused)
    shortest = ask(machine, "acknowledge", target, 2, until_us=us(2) + 1)
    assert shortest[0].expires_us == us(2) + 1
    assert isinstance(ask(machine, "acknowledge", target, 3, until_us=us(3)), Refused)


def test_a_silence_may_last_exactly_as_long_as_the_policy_says(policy: Policy) -> None:
    machine = AlertMachine(policy, "p1")
    day = 86_400
    assert ask(machine, "silence", "kind=*", 0, reason="x", until_us=us(day)) == ()
    beyond = ask(machine, "silence", "kind=*", 1, reason="x", until_us=us(day + 1) + 1)
    assert isinstance(beyond, Refused)
    assert ask(machine, "silence", "kind=*", 2, reason="x", until_us=us(2) + 1) == ()
    assert len(machine.standing().silences) == 2
