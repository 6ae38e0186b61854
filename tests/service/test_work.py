"""Who has hours to compute is put off: the others go first, and nobody is told anything else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service import work
from service.engine import Engine
from streams.processor import Output
from streams.records import LogRecord
from tests.service.engine_kit import (
    START_US,
    S,
    command,
    engine,
    log_of,
    patient,
)

HOURS, LIVE = "hours", "live"


def at_once(name: str, seconds: float, at_s: float) -> list[tuple[int, object]]:
    """All that a patient's device kept back, sent within a moment."""
    rows = patient(name, seconds, rate_bpm=135, breaths=28, spo2=90.0, off=False)
    return [(round(START_US + at_s * S + i), row) for i, (_, row) in enumerate(rows)]


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    """A live patient, one whose ten minutes come at once, and commands."""
    live = patient(LIVE, 420.0, rate_bpm=135, breaths=28, spo2=90.0, off=False)
    asked = [command(HOURS, "acknowledge", "no-such-alert", 331.0)]
    return log_of([live, at_once(HOURS, 300.0, 330.0), asked])


def soon(engine: Engine, log: Sequence[LogRecord], size: int, every: int) -> list[Output]:
    """Everything said, in portions, where what is put off waits for every so many of them."""
    said: list[Output] = []
    for turn, start in enumerate(range(0, len(log), size)):
        said += engine.feed_soon(log[start : start + size]).messages
        if turn % every == 0:
            said += engine.catch_up().messages
    while engine.left():
        said += engine.catch_up().messages
    return said


def interrupted(log: Sequence[LogRecord]) -> tuple[Engine, Sequence[Output]]:
    """An engine that has just taken the hours, beside twenty seconds of the live one's."""
    own = engine()
    began, over = (
        next(i for i, r in enumerate(log) if r.append_us >= START_US + at_s * S)
        for at_s in (329, 350)
    )
    own.feed(log[:began])
    return own, own.feed_soon(log[began:over]).messages


def by_key(said: Sequence[Output]) -> dict[str, list[Output]]:
    found: dict[str, list[Output]] = {}
    for output in said:
        found.setdefault(output.key, []).append(output)
    return found


@pytest.mark.parametrize(("size", "every", "few"), [(1, 1, 0), (7, 3, 1), (200, 1, 4), (3, 99, 0)])
def test_each_patient_is_told_the_same_in_the_same_order(
    log: list[LogRecord], monkeypatch: pytest.MonkeyPatch, size: int, every: int, few: int
) -> None:
    monkeypatch.setattr(work, "FEW", few)
    monkeypatch.setattr(work, "AT_ONCE", 2)
    assert by_key(soon(engine(), log, size, every)) == by_key(engine().feed(log).messages)


def test_who_is_live_is_served_before_hours_that_came_first(log: list[LogRecord]) -> None:
    own, first = interrupted(log)
    assert {output.key for output in first if output.topic == "features"} == {LIVE}
    assert len(own.left()) == 1
    later = own.catch_up().messages
    assert {output.key for output in later if output.topic == "features"} == {HOURS}


def test_no_more_is_put_off_than_may_be(
    log: list[LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "MOST", 5)
    own, said = interrupted(log)
    assert any(output.key == HOURS for output in said if output.topic == "features")
    left = [patient for patients in own._patients.values() for patient in patients.values()]
    assert sum(work.windows_of(patient) for patient in left) <= 5


def test_who_is_put_off_is_not_stored_and_its_records_are_not_done(log: list[LogRecord]) -> None:
    own, _ = interrupted(log)
    ((partition, offset),) = own.left().items()
    first = next(r.offset for r in log if r.partition == partition and HOURS in str(r.record))
    stored = [name for name, _, _ in own.snapshots(partition)]
    assert HOURS not in stored
    assert own.unstored(partition) == offset <= first
    while own.left():
        own.catch_up()
    assert HOURS in [name for name, _, _ in own.snapshots(partition)]
    assert own.unstored(partition) is None


def test_a_partition_that_is_given_up_leaves_nothing_behind(log: list[LogRecord]) -> None:
    own, _ = interrupted(log)
    (partition,) = own.left()
    own.drop(partition)
    assert own.left() == {}
    assert own.catch_up().messages == ()
