"""A thousand open alerts and people who race: losers hear why, and the log folds to the state."""

from __future__ import annotations

import random

import msgspec
import pytest

from alerts import envelope
from alerts.alert import AlertEvent, AlertRecord, Resolution
from alerts.commands import Refused
from alerts.machine import AlertMachine
from streams.records import AlertCommand
from tests.alerts.alert_kit import conditions, risk, us

PATIENTS = 1000
RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }, { priority = "high", hi = 0.8, lo = 0.7 }]
for_s = 0
update_delta = 0.01
update_s = 0
"""
POLICY = conditions(RISK)
RACES = ("acknowledge", "reject", "snooze", "resolve", "unacknowledge", "comment")


@pytest.fixture(scope="module")
def ward() -> tuple[list[AlertMachine], list[AlertEvent]]:
    machines = [AlertMachine(POLICY, f"p{i}") for i in range(PATIENTS)]
    log: list[AlertEvent] = []
    for i, machine in enumerate(machines):
        log += machine.on_scores((msgspec.structs.replace(risk(0, 0.6), patient_id=f"p{i}"),))
    return machines, log


def command(number: int, machine: AlertMachine, rng: random.Random) -> AlertCommand:
    """Somebody who looked at the alert a moment ago, or just now."""
    record = machine.records()[0]
    action = rng.choice(RACES)
    return AlertCommand(
        f"c{number}", machine.patient_id, record.occurrence_id, action, "user:kim", "rn", "words",
        record.seq - rng.choice((0, 0, 0, 1, 2)),
        us(2000) if action == "snooze" else 0, us(0),
    )  # fmt: skip


def test_of_commands_that_race_every_loser_is_told_and_the_log_folds_to_the_state(
    ward: tuple[list[AlertMachine], list[AlertEvent]],
) -> None:
    machines, log = ward
    rng, refused, won = random.Random(5), 0, 0
    for number in range(3000):  # 100 a second for 30 s, scores streaming past
        machine = machines[rng.randrange(40) if rng.random() < 0.5 else rng.randrange(PATIENTS)]
        now_s = 1100 + number / 100
        if not machine.records():
            continue
        wish = command(number, machine, rng)
        rival = msgspec.structs.replace(wish, command_id=f"r{number}", actor="user:lee")
        for asked in (wish, rival):
            before = machine.records()
            said = machine.on_command(asked, us(now_s))
            if isinstance(said, Refused):
                refused += 1
                assert said.detail
                assert machine.records() == before
            else:
                won += 1
                log += said
        value = 0.5 + rng.random() / 4
        score = msgspec.structs.replace(risk(now_s, value), patient_id=machine.patient_id)
        log += machine.on_scores((score,))
    assert refused > 500
    assert won > 2000
    last: dict[str, AlertRecord] = {}
    for event in log:
        before = last.get(event.occurrence_id)
        assert event.seq == (before.seq + 1 if before is not None else 1)
        last[event.occurrence_id] = msgspec.json.decode(
            envelope.state_value(event), type=AlertRecord
        )
    folded = {k: r for k, r in last.items() if r.state.resolution is Resolution.OPEN}
    opened = {r.occurrence_id: r for machine in machines for r in machine.records()}
    assert folded == opened


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("acknowledge", "expected_seq 1 is outdated: the state is of seq 2"),
        ("reject", "expected_seq 1 is outdated: the state is of seq 2"),
        ("resolve", "expected_seq 1 is outdated: the state is of seq 2"),
    ],
)
def test_the_second_of_two_hears_what_happened_meanwhile(second: str, words: str) -> None:
    machine = AlertMachine(POLICY, "p1")
    (event,) = machine.on_scores((risk(0, 0.6),))
    base = AlertCommand("1", "p1", event.occurrence_id, "acknowledge", "a", "", "x", 1, 0, us(0))
    assert not isinstance(machine.on_command(base, us(5)), Refused)
    late = msgspec.structs.replace(base, command_id="2", action=second, actor="b")
    said = machine.on_command(late, us(6))
    assert isinstance(said, Refused)
    assert said.detail == words


def test_that_nobody_answered_in_time_does_not_refuse_the_one_who_answers_then() -> None:
    machine = AlertMachine(POLICY, "p1")
    (event,) = machine.on_scores((risk(0, 0.6),))
    escalated = machine.on_tick(us(1000))
    assert "escalated" in [str(e.phase) for e in escalated]
    ack = AlertCommand("1", "p1", event.occurrence_id, "acknowledge", "a", "", "", 1, 0, us(0))
    assert not isinstance(machine.on_command(ack, us(1001)), Refused)
