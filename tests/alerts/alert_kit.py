"""Policies with some of their text replaced, and scores of other scorers than NEWS2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.alert import AlertEvent
from alerts.machine import AlertMachine
from alerts.policy import Policy, default_policy_text, parse_policy
from models.score import Evidence, Score
from streams.records import AlertCommand

START_S = 1_750_000_000  # as in conftest
DEFAULT = default_policy_text()
HEAD = '[policy]\nid = "test"\nversion = "1"\n'
BASE = AlertCommand("c0", "p1", "", "acknowledge", "user:kim", "rn", "", -1, 0, 1_750_000_000)


def us(seconds: float) -> int:
    return round((START_S + seconds) * 1_000_000)


def edited(*changes: tuple[str, str]) -> Policy:
    """The default policy with some of its text replaced."""
    text = DEFAULT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text)


def conditions(*bodies: str, head: str = HEAD) -> Policy:
    """A policy with these conditions, named a, b, ...; the other tables are the default's."""
    parts = [head]
    for name, body in zip("abcdefgh", bodies, strict=False):
        parts.append(f'[condition.{name}]\ndisplay = "{name.upper()}"\nlabel = "Risk"\n{body}\n')
    return parse_policy("\n".join(parts), DEFAULT)


def risk(
    at_s: float,
    value: float | None,
    *,
    scorer: str = "fusion",
    revision: int = 0,
    known_s: float = 2,
    **fields: Any,
) -> Score:
    """A calibrated model's score of the minute ending at `at_s`."""
    evidence: tuple[Evidence, ...] = fields.pop("evidence", ())
    score = Score(
        "p1", scorer, f"{scorer}/3/sha256:ab", us(at_s - 60), us(at_s), us(at_s + known_s),
        revision, value, value, value, 0.05, True, 21_600.0, {}, {"wearable": True}, 1.0, None,
        evidence,
    )  # fmt: skip
    return msgspec.structs.replace(score, **fields)


def entry(code: str, value: float, **fields: Any) -> Evidence:
    """One input, fresh and clean unless told."""
    known: dict[str, Any] = {
        "label": code.upper(),
        "code": code,
        "value": value,
        "unit": "1/min",
        "time_us": us(0),
        "age_s": 0.0,
        "source": "wearable",
        "quality": 0.95,
        "points": 1.0,
    }
    return Evidence(**{**known, **fields})


def vital(at_s: float, code: str, value: float | None, **fields: Any) -> Score:
    """A score that shows one input, or none."""
    shown = () if value is None else (entry(code, value, **fields),)
    return risk(at_s, None, scorer="columns", evidence=shown, calibrated=False)


def play(machine: AlertMachine, values: Mapping[float, float | None]) -> list[AlertEvent]:
    """Risk scores at these seconds."""
    events: list[AlertEvent] = []
    for at_s, value in values.items():
        events += machine.on_scores((risk(at_s, value),))
    return events


def phases(events: Any) -> list[str]:
    return [str(event.phase) for event in events]


def ask(machine: AlertMachine, action: str, target: str, at_s: float, **fields: Any) -> Any:
    """Send a command to a machine; its id is the action and the time unless told."""
    given = {"command_id": f"{action}-{at_s}", "event_time_us": us(at_s), **fields}
    command = msgspec.structs.replace(BASE, action=action, occurrence_id=target, **given)
    return machine.on_command(command, us(at_s))
