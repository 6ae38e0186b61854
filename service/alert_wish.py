"""What a person asks of an alert, before it is a command. Light: the command line imports it."""

from __future__ import annotations

from typing import NamedTuple


class Wish(NamedTuple):
    """What a person asks, before it becomes a command."""

    action: str
    patient_id: str
    target: str  # occurrence id, matchers, silence id, labels or patient
    by: str
    role: str
    reason: str = ""
    expected_seq: int = -1
    until_us: int = 0
