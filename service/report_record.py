"""The document `report.json`: its keys, their units and meanings. Times are µs UTC or seconds.

`offset_s` always counts from the start of that patient's data.
"""

from __future__ import annotations

from typing import Any

import msgspec

NOTICE = "Research and engineering software, not a medical device: not for primary alarms."


class SignalSummary(msgspec.Struct, frozen=True):
    """How much of a signal was there (mean coverage of its 60 s windows) and how good it was."""

    signal: str
    coverage: float  # 0-1
    quality: float | None  # 0-1 over windows with a value; None if there is none


class Step(msgspec.Struct, frozen=True):
    """One event of an alert; `offset_s` counts from the start of the patient's data."""

    offset_s: float
    time_us: int
    phase: str
    priority: str
    summary: str
    why: tuple[str, ...]


class AlertSummary(msgspec.Struct, frozen=True):
    """One occurrence: when it was raised, the highest priority it reached, why, and how it went."""

    patient_id: str
    occurrence_id: str
    kind: str
    condition: str
    priority: str
    raised_us: int
    offset_s: float
    ended_offset_s: float | None  # None: still open at the end
    summary: str
    why: tuple[str, ...]
    steps: tuple[Step, ...]  # every event, the raise first


class News2Summary(msgspec.Struct, frozen=True):
    """The worst NEWS2 of a patient, by its lower bound, and what was missing from it."""

    lower: int
    upper: int
    offset_s: float
    missing: tuple[str, ...]


class PatientSummary(msgspec.Struct, frozen=True):
    """One patient; patients stand worst first."""

    patient_id: str
    start_us: int
    minutes: float
    windows: int  # 60 s windows
    news2: News2Summary | None
    limits_max: float | None
    raised: dict[str, int]  # kind of alert -> how many were raised
    worst_priority: str | None  # of physiological and advisory alerts
    medians: dict[str, float | None]  # hr, rr, spo2, temp
    signals: tuple[SignalSummary, ...]


class FeatureSummary(msgspec.Struct, frozen=True):
    """One feature and window length over all patients; quartiles are None without a value."""

    name: str
    label: str
    unit: str
    window: str
    windows: int
    with_value: int
    median: float | None
    q1: float | None
    q3: float | None
    missing: dict[str, int]  # reason -> windows, most frequent first


class Burden(msgspec.Struct, frozen=True):
    """How often alerts were raised, per hour of recording of one patient."""

    patient_hours: float
    raised: dict[str, int]
    per_patient_hour: dict[str, float | None]


class Report(msgspec.Struct, frozen=True):
    """The document `report.json`."""

    notice: str
    run: dict[str, Any]  # run.json: inputs, versions, cost, digests
    refused_inputs: tuple[str, ...]
    patients: tuple[PatientSummary, ...]
    alerts: tuple[AlertSummary, ...]
    features: tuple[FeatureSummary, ...]
    burden: Burden
    dead_letters: dict[str, int]  # reason -> count
