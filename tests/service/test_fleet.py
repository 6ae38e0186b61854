"""Many devices silent at once are one outage, told once; few, or one after another, are not."""

from __future__ import annotations

import pytest

from alerts.alert import AlertEvent, Condition, Phase, Resolution
from alerts.envelope import alert_value
from alerts.machine import AlertMachine
from alerts.policy import default_policy_text, parse_policy
from service.config import Config, KafkaConfig, WatchConfig
from service.fleet import OUTAGE, FleetRules, FleetWatch, Outage
from service.watch import Watch
from streams.io.kafka_log import Stored
from streams.records import ANYONE
from tests.service.emitters.emitter_kit import step

S = 1_000_000
POLICY = parse_policy(default_policy_text())
RULES = FleetRules(patients=3, share=0.5, within_us=120 * S)


def silent(name: str, since_s: int) -> AlertEvent:
    """The alert that no data of a patient comes."""
    machine = AlertMachine(POLICY, name)
    (event,) = machine.on_silence("", f"{name}-dev", since_s * S, (since_s + 60) * S)
    return event


def back(event: AlertEvent) -> AlertEvent:
    return step(event, Phase.CLEARED, condition=Condition.CLEARED)


def watching(*since_s: int) -> tuple[FleetWatch, list[AlertEvent]]:
    watch = FleetWatch(RULES)
    events = [silent(f"p{n}", at) for n, at in enumerate(since_s)]
    for event in events:
        watch.heard(event)
    return watch, events


def test_many_at_once_are_an_outage_since_the_first_and_it_is_told_once() -> None:
    watch, _ = watching(130, 100, 110)
    assert watch.judge(6) == Outage(100 * S, 3)
    assert watch.judge(6) is None


@pytest.mark.parametrize(
    ("since_s", "watched"),
    [((100, 110), 2), ((100, 110, 120), 7), ((100, 200, 300), 3)],
    ids=["too few", "too small a share", "one after another"],
)
def test_what_is_no_outage(since_s: tuple[int, ...], watched: int) -> None:
    assert watching(*since_s)[0].judge(watched) is None


def test_an_outage_is_over_when_fewer_than_half_are_silent() -> None:
    watch, events = watching(100, 101, 102, 103)
    assert watch.judge(4) is not None
    for event in events[:2]:
        watch.heard(back(event))
        assert watch.judge(4) is None
    watch.heard(back(events[2]))
    assert watch.judge(4) == Outage(100 * S, 1, over=True)
    assert watch.silent() == 1


def test_what_a_person_closed_or_took_back_is_not_silent() -> None:
    watch, events = watching(100, 101, 102)
    for resolution in (Resolution.CLOSED, Resolution.RETRACTED):
        watch.heard(step(events[0], Phase.RESOLVED, resolution=resolution))
        assert watch.silent() == 2


def test_two_signals_of_one_patient_are_one_patient() -> None:
    watch = FleetWatch(RULES)
    machine = AlertMachine(POLICY, "p0")
    for signal in ("ecg", "resp", "spo2"):
        for event in machine.on_silence(signal, "d", 100 * S, 160 * S):
            watch.heard(event)
    assert watch.silent() == 1
    assert watch.judge(1) is None


def test_no_rule_no_outage() -> None:
    watch = FleetWatch(RULES._replace(patients=0))
    watch.heard(silent("p0", 1))
    assert watch.judge(0) is None


def test_a_restart_knows_what_was_told() -> None:
    watch, events = watching(100, 101, 102)
    told = watch.judge(3)
    assert told is not None
    star = silent("p9", 100)
    condition = type(star.condition)(OUTAGE, "Many devices fell silent")
    record = step(star, Phase.RAISED, subject=ANYONE, condition=condition).record()
    again = FleetWatch(RULES)
    again.seed([*(event.record() for event in events), record])
    assert again.judge(3) is None
    for event in events[:2]:
        again.heard(back(event))
    assert again.judge(3) == Outage(100 * S, 1, over=True)


def test_the_watch_tells_everybody_and_takes_it_back() -> None:
    rules = WatchConfig(fleet_patients=3, fleet_share=0.5)
    watch = Watch(Config(kafka=KafkaConfig(partitions=4), watch=rules))
    events = [silent(f"p{n}", 100) for n in range(3)]
    for n, event in enumerate(events):
        for short, value in (("scores", b"{}"), ("alerts", alert_value(event))):
            topic = f"vigil.{short}.v1"
            watch.hear(Stored(topic, 0, 0, 160 * S, f"p{n}".encode(), value, ()), 160 * S)
    (lost,) = watch.tick(161 * S)
    assert (lost.patient_id, lost.action, lost.occurrence_id) == (ANYONE, "lost", OUTAGE)
    assert (lost.role, lost.reason, lost.event_time_us) == ("service", "3 patients silent", 100 * S)
    everyone = AlertMachine(POLICY, ANYONE)
    (raised,) = everyone.on_command(lost, 161 * S)  # type: ignore[misc]
    assert raised.phase == "raised"
    for event in events:
        watch.fleet.heard(back(event))
    (over,) = watch.tick(200 * S)
    (cleared,) = everyone.on_command(over, 200 * S)  # type: ignore[misc]
    assert (over.action, cleared.phase) == ("regained", "cleared")
