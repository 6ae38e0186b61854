"""Recordings once through the engine, and what its alert machines were told, kept.

Any policy can then be tried on the same calls: scores, ticks, silences, device status, faults, in
the order of the log. Nothing is scored again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from alerts.alert import AlertEvent, AlertRecord
from alerts.commands import Refused
from alerts.ledger import Events
from alerts.machine import AlertMachine
from alerts.policy import Policy
from models.score import Score
from service.build import judges_of, load_policy
from service.config import Config
from service.embedded import numbered, run
from service.engine import Engine
from service.judging import Judges
from service.outputs import Caused, alert_outputs
from service.patient import Patient
from service.replay import Inputs, entries
from service.results import Collector
from streams.records import AlertCommand, DeviceStatus


class Call(NamedTuple):
    """One call of a machine's method."""

    method: str
    arguments: tuple[Any, ...]


class Tap(AlertMachine):
    """A machine that keeps what it is told, and is told of every tick."""

    __slots__ = ("calls",)

    def __init__(self, policy: Policy, patient_id: str) -> None:
        super().__init__(policy, patient_id)
        self.calls: list[Call] = []

    def records(self) -> tuple[AlertRecord, ...]:
        """Never empty, so that ticks come even when this policy has nothing open."""
        return super().records() or _ALWAYS

    def on_scores(self, scores: Sequence[Score]) -> Events:
        """Keep, then do."""
        self.calls.append(Call("on_scores", (tuple(scores),)))
        return super().on_scores(scores)

    def on_tick(self, now_us: int) -> Events:
        """Keep, then do."""
        self.calls.append(Call("on_tick", (now_us,)))
        return super().on_tick(now_us)

    def on_command(self, command: AlertCommand, recorded_us: int) -> Events | Refused:
        """Keep, then do."""
        self.calls.append(Call("on_command", (command, recorded_us)))
        return super().on_command(command, recorded_us)

    def on_silence(self, signal: str, device_id: str, since_us: int, now_us: int) -> Events:
        """Keep, then do."""
        self.calls.append(Call("on_silence", (signal, device_id, since_us, now_us)))
        return super().on_silence(signal, device_id, since_us, now_us)

    def on_signal_back(self, signal: str, device_id: str, now_us: int) -> Events:
        """Keep, then do."""
        self.calls.append(Call("on_signal_back", (signal, device_id, now_us)))
        return super().on_signal_back(signal, device_id, now_us)

    def on_model(self, name: str, why: str, since_us: int, now_us: int) -> Events:
        """Keep what changes anything, then do."""
        events = super().on_model(name, why, since_us, now_us)
        if events:
            self.calls.append(Call("on_model", (name, why, since_us, now_us)))
        return events

    def on_device_status(self, status: DeviceStatus, recorded_us: int) -> Events:
        """Keep, then do."""
        self.calls.append(Call("on_device_status", (status, recorded_us)))
        return super().on_device_status(status, recorded_us)


_ALWAYS: tuple[Any, ...] = ("tapped",)


class TappedEngine(Engine):
    """The live engine with a tap on every patient's machine."""

    def __init__(self, policy: Policy, judges: Judges, config: Config) -> None:
        super().__init__(policy, judges, config.timing_spec, config.kafka.partitions)
        self.taps: dict[str, Tap] = {}

    def _patient(self, partition: int, patient_id: str) -> Patient:
        patient = super()._patient(partition, patient_id)
        if patient_id not in self.taps:
            self.taps[patient_id] = Tap(self._policy, patient_id)
            patient.machine = self.taps[patient_id]
        return patient


def tapped(
    inputs: Inputs, config: Config, policies: Sequence[Policy] = ()
) -> dict[str, list[Call]]:
    """What the machine of every patient was told in a replay of these inputs.

    Parameters
    ----------
    inputs : Inputs
        Of `service.replay.load`.
    config : Config
        Waiting rules and partitions; its policy runs the engine.
    policies : sequence of Policy
        What is to be tried: the features they name are shown too.
    """
    policy = load_policy(config.policy)
    engine = TappedEngine(policy, judges_of(config, policy, *policies), config)
    for _ in run(engine, numbered(entries(inputs, config.kafka.partitions))):
        pass
    return {patient: tap.calls for patient, tap in engine.taps.items()}


def played(
    patient: str, calls: Iterable[Call], policy: Policy, *, commands: bool
) -> list[AlertEvent]:
    """What a policy says to the calls of one patient.

    Parameters
    ----------
    patient : str
        Whose.
    calls : iterable of Call
        In order.
    policy : Policy
        Any.
    commands : bool
        Whether to play people's commands: they name occurrences of the policy they were given
        under, so for another policy they mean nothing.
    """
    machine = AlertMachine(policy, patient)
    events: list[AlertEvent] = []
    for method, arguments in calls:
        if method == "on_command" and not commands:
            continue
        said = getattr(machine, method)(*arguments)
        if not isinstance(said, Refused):
            events += said
    return events


def in_log_order(events: Iterable[Sequence[AlertEvent]]) -> list[AlertEvent]:
    """Events of several patients as `alerts.jsonl` has them."""
    collector = Collector()
    for own in events:
        for place, event in enumerate(own):
            collector.take(alert_outputs(event, Caused(0, place)))
    return collector.results().alerts
