"""A risk and a vital sign with an inhibition between them, and what holds alerts back."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.machine import AlertMachine
from alerts.silences import Silence, parse_matchers
from tests.alerts.alert_kit import ask, conditions, entry, risk, us

RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }, { priority = "high", hi = 0.8, lo = 0.7 }]
for_s = 0
keep_s = 0
rejoin_s = 600
update_delta = 9
stale_after_s = 9999
"""
VITAL = """source = "vitals.value"
levels = [{ priority = "medium", hi = 3, lo = 2 }, { priority = "high", hi = 9, lo = 8 }]
for_s = 0
keep_s = 0
rejoin_s = 600
update_delta = 9
stale_after_s = 9999
"""
INHIBIT = """
[[inhibit]]
source = "a"
source_priority = "high"
target = "b"
target_priority = "medium"
"""
POLICY = conditions(RISK, VITAL + INHIBIT)
QUIET = "none"


def vitals(at_s: float, value: float, *codes: str) -> Any:
    items = tuple(entry(code, 140.0, points=value) for code in codes or ("ecg_hr_bpm",))
    return risk(at_s, value, scorer="vitals", calibrated=False, evidence=items)


def silence(
    machine: AlertMachine, matching: str, at_s: float, until_s: float, **fields: Any
) -> Any:
    given = {"reason": "network works", "until_us": us(until_s), **fields}
    return ask(machine, fields.pop("action", "silence"), matching, at_s, **given)


def held(machine: AlertMachine) -> dict[str, str]:
    return {r.condition.code: str(r.state.suppression) for r in machine.records()}


def silence_of(matching: str, **fields: Any) -> Silence:
    parsed = parse_matchers(matching)
    assert not isinstance(parsed, str)
    made = Silence("s1", "silence", parsed.fits, parsed.up_to, us(0), us(9), us(0), "kim", "why")
    return msgspec.structs.replace(made, **fields)
