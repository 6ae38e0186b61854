"""Scores played to a machine, and what people and devices say to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alerts.alert import AlertEvent
from alerts.machine import AlertMachine
from models.score import Evidence, Score
from streams.records import AlertCommand, DeviceStatus

Make = Callable[..., Score]
At = Callable[[float], int]
Raised = tuple[AlertMachine, AlertEvent]
Events = tuple[AlertEvent, ...]


def phases(events: Events) -> list[str]:
    return [str(event.phase) for event in events]


def play(machine: AlertMachine, score: Make, spans: list[tuple[float, float, Any]]) -> Events:
    """One score per 30 s in each [from, to) span."""
    events: Events = ()
    for start_s, end_s, points in spans:
        for at_s in range(int(start_s), int(end_s), 30):
            events += machine.on_scores((score(at_s, points),))
    return events


def resolve(machine: AlertMachine, event: AlertEvent, now_us: int) -> Events:
    said = machine.on_command(
        AlertCommand("c-resolve", "p1", event.occurrence_id, "resolve", "dr", "md", "", -1, 0, 0),
        now_us,
    )
    assert isinstance(said, tuple)
    return said


def status(what: str, signal: str = "ecg", device: str = "d1") -> DeviceStatus:
    return DeviceStatus("p1", device, signal, what, None, "", 0, 1_750_000_000_000_000)


def limits(at_s: float, at: At, code: str, points: float) -> Score:
    """A single-parameter score whose worst input is `code`, beside normal ones."""
    from_wearable = (at(at_s), 0.0, "wearable", 1.0)
    worst = Evidence("Heart rate: high", code, 140.0, "1/min", *from_wearable, points)
    normal = Evidence("SpO2", "spo2_mean_pct", 97.0, "%", *from_wearable, 0.0)
    evidence = (worst, normal)
    return Score(
        "p1", "limits", "limits/1", at(at_s - 60), at(at_s), at(at_s), 0, points, points, 3.0,
        None, False, 0.0, {}, {"wearable": True}, len(evidence) / 5, None, evidence,
    )  # fmt: skip
