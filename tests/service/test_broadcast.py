"""Commands to everybody: who hears them, who answers, and that a crash cannot tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from alerts.alert import AlertEvent
from service.engine import Engine
from service.silence_list import listed
from streams.errors import SnapshotMismatch
from streams.partition import partition_of
from streams.processor import Output
from streams.records import ANYONE, LogRecord, Reason, SignalBundle
from tests.service.engine_kit import (
    PARTITIONS,
    START_US,
    chunk,
    collected,
    command,
    engine,
    event,
    log_of,
    outputs,
    patient,
    renumbered,
    revived,
    run,
    status,
)

OUTAGE = command(ANYONE, "lost", "device_fleet_outage", 50)
QUIET = command(ANYONE, "silence", "condition=no_data:*", 60, lasting_s=300)


def lost(name: str, until_s: float = 10.0) -> list[tuple[int, object]]:
    """A patient whose device stops for good."""
    return patient(name, 60, spans_s=((0.0, until_s),), off=False)  # type: ignore[return-value]


def alerts(log: Sequence[LogRecord]) -> list[AlertEvent]:
    return run(log).alerts


def test_one_partition_speaks_for_all_of_them() -> None:
    log = log_of([lost("a"), lost("b"), lost("c"), [OUTAGE]], tail_us=100_000_000)
    assert len({record.partition for record in log}) > 1
    said = [a for a in alerts(log) if a.subject == ANYONE]
    assert [str(a.phase) for a in said] == ["raised"]
    held = {a.subject: a.state.suppression for a in alerts(log) if "no_data" in a.condition.code}
    assert set(held.values()) == {"inhibited"}
    assert set(held) == {"a", "b", "c"}


def test_an_outage_of_the_ward_can_be_acknowledged() -> None:
    (raised,) = [a for a in alerts(log_of([lost("a"), [OUTAGE]])) if a.subject == ANYONE]
    ack = command(ANYONE, "acknowledge", raised.occurrence_id, 55, expected_seq=1)
    said = run(log_of([lost("a"), [OUTAGE, ack]]))
    assert [str(a.phase) for a in said.alerts if a.subject == ANYONE] == ["raised", "acknowledged"]
    assert said.dead == run(log_of([lost("a"), [OUTAGE]])).dead == []


def test_what_is_about_no_patient_reaches_none() -> None:
    ack = command(ANYONE, "acknowledge", "no-such-alert", 55)
    rows = [lost("a"), lost("b"), [ack]]
    log = log_of(rows)
    dead = run(log).dead
    assert {d.reason for d in dead} == {"bad_command"}
    heard = [r for r in log if r.record == ack[1]]
    assert len(dead) == len(heard), "once per partition, not once per patient"


def test_what_is_refused_for_all_is_heard_by_none() -> None:
    endless = command(ANYONE, "silence", "condition=no_data:*", 20, lasting_s=1e9)
    said = run(log_of([lost("a"), [endless]], tail_us=100_000_000))
    assert {a.state.suppression for a in said.alerts} == {"none"}
    assert len({d.detail for d in said.dead}) == 1


def test_a_repeat_after_the_end_brings_an_outage_back_for_nobody() -> None:
    over = command(ANYONE, "regained", "device_fleet_outage", 52)
    again = (START_US + 54_000_000, OUTAGE[1])
    new = patient("new", 70, spans_s=((53.0, 60.0),), off=False)
    log = log_of([lost("a"), new, [OUTAGE, over, again]], tail_us=100_000_000)
    held = {a.subject: str(a.state.suppression) for a in alerts(log)}
    assert held == {"a": "none", "new": "none", ANYONE: "none"}


def test_who_comes_later_in_the_same_feed_begins_with_what_is_in_force() -> None:
    new = patient("new", 100, spans_s=((61.0, 80.0),), off=False)
    log = log_of([lost("a"), new, [QUIET]], tail_us=100_000_000)
    assert outputs(log) == outputs(log, [1])
    born = [a for a in alerts(log) if a.subject == "new" and a.phase == "raised"]
    assert [str(a.state.suppression) for a in born] == ["silenced"]


@pytest.mark.parametrize("what", ["chunk", "event", "status"])
def test_who_stands_for_all_has_no_data(what: str) -> None:
    made = {
        "chunk": (START_US + 1_000_000, SignalBundle((chunk(ANYONE),))),
        "event": event(ANYONE, "sbp", 120, "mmHg", 0, 1),
        "status": status(ANYONE, "worn", 1),
    }
    at_us, record = made[what]
    where = partition_of(ANYONE, PARTITIONS)
    said = run(renumbered([(where, at_us, record)]))
    assert [d.reason for d in said.dead] == [Reason.MISROUTED]


def test_who_stands_for_all_is_no_patient_to_count() -> None:
    machine = engine()
    machine.feed(log_of([lost("a"), [QUIET]]))
    assert machine.patients() == 1


def checkpointed(log: Sequence[LogRecord], at: int, end: int, kept: int) -> list[Output]:
    """A checkpoint at `at`; a second at `end`, of which only the first `kept` states were written.

    The next worker begins again at `at`.
    """
    states: dict[tuple[int, str], bytes] = {}
    first = engine()
    said = list(first.feed(log[:at]).messages)
    _store(first, states)
    said += first.feed(log[at:end]).messages
    _store(first, states, kept)
    second = revived(states, log)
    return said + list(second.feed(log[at:]).messages)


def _store(machine: Engine, states: dict[tuple[int, str], bytes], most: int = 1 << 30) -> None:
    for number in range(PARTITIONS):
        for name, _, state in machine.snapshots(number)[:most]:
            states[number, name] = state


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_checkpoint_written_in_part_changes_nothing(kept: int) -> None:
    names = _of_one_partition(3)
    old, late, later = names
    over = command(ANYONE, "unsilence", "quiet", 132)
    rows = [
        lost(old),
        patient(late, 200, spans_s=((61.0, 65.0), (150.0, 200.0)), off=False),
        patient(later, 200, spans_s=((72.0, 76.0),), off=False),
        [OUTAGE, (QUIET[0], command(ANYONE, "silence", "kind=technical", 60, lasting_s=100,
                                    command_id="quiet")[1])],
        [command(ANYONE, "regained", "device_fleet_outage", 70), over],
    ]  # fmt: skip
    log = log_of(rows, tail_us=100_000_000)  # type: ignore[arg-type]
    whole = collected(outputs(log)).digests
    at = next(i for i, r in enumerate(log) if r.append_us > START_US + 45_000_000)
    end = next(i for i, r in enumerate(log) if r.append_us > START_US + 136_000_000)
    assert collected(checkpointed(log, at, end, kept)).digests == whole


def _of_one_partition(count: int) -> list[str]:
    names = (f"n{number}" for number in range(1000))
    return [n for n in names if partition_of(n, PARTITIONS) == partition_of(ANYONE, PARTITIONS)][
        :count
    ]


def test_silences_in_force_are_listed_from_what_is_stored() -> None:
    own = command("a", "silence", "kind=technical", 55, lasting_s=100, command_id="own")
    short = command(ANYONE, "silence", "kind=technical", 56, lasting_s=2, command_id="short")
    machine = engine()
    machine.feed(log_of([lost("a"), lost("b"), lost("c"), [QUIET, own, short]]))
    states = [
        (number, name, state)
        for number in range(PARTITIONS)
        for name, _, state in machine.snapshots(number)
    ]
    found = listed(states, START_US + 70_000_000)
    assert [(each.silence.id, each.patient) for each in found] == [
        ("own", "a"),
        (QUIET[1].command_id, ANYONE),
    ]
    assert found[1].partitions == len({number for number, name, _ in states if name == ANYONE}) > 1
    assert listed(states, START_US + 1_000_000_000) == []
    with pytest.raises(SnapshotMismatch):
        listed([(0, "a", b"nonsense")], 0)
