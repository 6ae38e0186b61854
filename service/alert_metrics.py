"""Figures of alerts: how soon raised, how soon answered, what people said. No label holds an id."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerts.alert import Kind, Phase, Priority
from alerts.commands import OUTCOMES
from streams.processor import Output
from streams.records import CANARY

# From seconds (a tick) to the hours after which nobody answers any more.
_ALERT_BUCKETS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400)
HOUR_US: Final = 3600 * 1_000_000
MAX_COUNTED: Final = 1000  # alerts of one patient in an hour; beyond it more is no news
_KINDS = frozenset(Kind)
_PRIORITIES = frozenset(Priority)


class _Deed(msgspec.Struct):
    type: str
    outcome: str | None = None


class _Said(msgspec.Struct):
    """What of an alert event is measured."""

    kind: str
    priority: str
    raised_us: int
    recorded_us: int
    window: tuple[int, int] | None = None
    actions: tuple[_Deed, ...] = ()


class AlertMetrics:
    """How soon alerts are raised and answered, and what people said of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._raised = Histogram(
            "vigil_alert_end_to_end_seconds",
            "From the end of the window that raised an alert to its record.",
            ["kind"],
            buckets=_ALERT_BUCKETS_S,
            registry=registry,
        )
        self._acknowledged = Histogram(
            "vigil_alert_ack_seconds",
            "From raising an alert to its first acknowledgement.",
            ["priority"],
            buckets=_ALERT_BUCKETS_S,
            registry=registry,
        )
        self._feedback = Counter(
            "vigil_alert_feedback", "What people said of alerts.", ["outcome"], registry=registry
        )
        self._raised_at: dict[str, deque[int]] = {}  # by patient, append times of the last hour
        self._peak = self._peak_us = self._swept_us = 0
        self._storm = Gauge(
            "vigil_alerts_per_patient_hour_max",
            "Most alerts that one patient had within the hour before the newest.",
            registry=registry,
        )

    def hear(self, phase: str, output: Output) -> None:
        """Take one event of an alert; one that cannot be read is counted by its phase only."""
        if phase not in (Phase.RAISED, Phase.ACKNOWLEDGED, Phase.FEEDBACK):
            return
        if output.key == CANARY:
            return  # it would flatter the figures
        try:
            said = msgspec.json.decode(output.value, type=_Said)
        except msgspec.DecodeError:
            return
        if phase == Phase.RAISED:
            self._count(output.key, said.recorded_us)
        if phase == Phase.RAISED and said.window is not None:
            lag_us = said.recorded_us - said.window[1]
            self._raised.labels(known(said.kind, _KINDS)).observe(max(0, lag_us) / 1e6)
        elif phase == Phase.ACKNOWLEDGED and _first_acknowledgement(said):
            waited_s = max(0, said.recorded_us - said.raised_us) / 1e6
            self._acknowledged.labels(known(said.priority, _PRIORITIES)).observe(waited_s)
        elif phase == Phase.FEEDBACK and said.actions:
            self._feedback.labels(known(said.actions[-1].outcome or "", OUTCOMES)).inc()

    def _count(self, patient: str, at_us: int) -> None:
        """How many alerts the busiest patient had lately; who it is stays inside."""
        times = self._raised_at.setdefault(patient, deque(maxlen=MAX_COUNTED))
        times.append(at_us)
        while times[0] <= at_us - HOUR_US:
            times.popleft()
        # One look at one patient: an outage raises an alert of everybody at once.
        if len(times) >= self._peak or at_us >= self._peak_us + HOUR_US:
            self._peak, self._peak_us = len(times), at_us
            self._storm.set(len(times))
        if at_us >= self._swept_us + HOUR_US:
            self._swept_us = at_us
            kept = self._raised_at.items()
            self._raised_at = {who: own for who, own in kept if own[-1] > at_us - HOUR_US}


def _first_acknowledgement(said: _Said) -> bool:
    return sum(deed.type == "acknowledge" for deed in said.actions) == 1


def known(word: str, vocabulary: Collection[str]) -> str:
    """A word of the vocabulary: a label never grows with the data."""
    return word if word in vocabulary else "other"
