"""A device's clock: right ones are left alone, wrong ones led to event time, by the log alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.clock import TimingSpec
from streams.device import Arrival, Device
from streams.device_clock import SETTLE_US, DeviceClock
from streams.records import Chunk, Reason
from streams.segments import Segment

START_US = 1_577_836_803_200_000
S = 1_000_000
HOUR_US = 3_600 * S
DAY_US = 24 * HOUR_US
FS_HZ = 25.0
CHUNK_S = 10
CONTEXT_US = {"ppg": 0, "temp": 0}
Says = Callable[[int], int]  # device time at a true time


class Sent(NamedTuple):
    """A chunk on the log."""

    append_us: int
    chunk: Chunk


def counted(number: int, first: int, at_us: int, signal: str = "ppg") -> Chunk:
    """Ten seconds; every sample is its own number, so that a segment says what is in it."""
    count = round(CHUNK_S * FS_HZ)
    data = (np.arange(first, first + count) % 30_000).astype("<i2").tobytes()
    return Chunk("p", "d", signal, number, first, at_us, FS_HZ, "1", 1.0, 0.0, 0, data)


def log_of(
    seconds: int, says: Says, delay_us: Callable[[int], int] = lambda _: S, ppm: float = 0.0
) -> list[Sent]:
    """A device that measures all the time and sends when ten of its seconds are full.

    `says` is what its clock shows when by its quartz, fast by `ppm`, that time has come.
    """
    sent = []
    for number in range(seconds // CHUNK_S):
        since_us = number * CHUNK_S * S
        chunk = counted(number, round(number * CHUNK_S * FS_HZ), says(START_US + since_us))
        end_us = START_US + round((since_us + CHUNK_S * S) / (1 + ppm / 1e6))
        sent.append(Sent(end_us + delay_us(number), chunk))
    return sorted(sent, key=lambda row: row.append_us)


class Played(NamedTuple):
    """What a device made of a log."""

    machine: Device
    segments: list[Segment]
    refused: list[Reason]
    moved_us: list[int]


def played(log: Sequence[Sent], revive: Sequence[int] = ()) -> Played:
    """Feed it, one record a chunk; at the places `revive` the device is stored and restored."""
    machine = Device("p", "d", TimingSpec(), CONTEXT_US)
    segments: list[Segment] = []
    refused: list[Reason] = []
    moved: list[int] = []
    clock_us = 0
    for place, (append_us, chunk) in enumerate(log):
        clock_us = max(clock_us, append_us)
        if place in revive:
            machine = revived(machine, log[:place], clock_us)
        done = machine.ingest([(0, chunk)], Arrival(place, append_us), clock_us)
        segments += done.segments
        refused += [reason for _, reason in done.faults]
        if done.moved_us:
            moved.append(done.moved_us)
    return Played(machine, segments, refused, moved)


def revived(machine: Device, before: Sequence[Sent], clock_us: int) -> Device:
    state = msgspec.msgpack.encode(machine.state(clock_us))
    again = Device.from_state(
        "p", msgspec.msgpack.decode(state, type=type(machine.state(0))), TimingSpec(), CONTEXT_US
    )
    for place, (_, chunk) in enumerate(before):
        again.refill(place, {0: chunk})
    again.complete()
    return again


def error_us(segment: Segment, ppm: float = 0.0) -> float:
    """By how much a segment's samples lie after the time at which they were really taken."""
    at = int(np.flatnonzero(np.isfinite(segment.samples))[0])
    told_us = segment.start_us - START_US + segment.first_us + at * 1e6 / FS_HZ
    period_us = 1e6 / FS_HZ / (1 + ppm / 1e6)
    off_us = told_us - float(segment.samples[at]) * period_us
    turn_us = 30_000 * period_us  # numbers begin anew
    return off_us - round(off_us / turn_us) * turn_us


def same(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    return [s[:8] for s in left] == [s[:8] for s in right] and all(
        np.array_equal(a.samples, b.samples, equal_nan=True)
        for a, b in zip(left, right, strict=True)
    )


def right(true_us: int) -> int:
    return true_us


def set_by(by_us: int, after_s: int) -> Says:
    return lambda true_us: true_us + (by_us if true_us >= START_US + after_s * S else 0)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), most_s=st.floats(0, 9.5), off_s=st.floats(-20, 20))
def test_a_clock_that_is_right_is_never_touched(seed: int, most_s: float, off_s: float) -> None:
    rng = random.Random(seed)
    log = log_of(
        4 * 3600,
        lambda true_us: true_us + round(off_s * S) + rng.randint(-40_000, 40_000),
        lambda _: round(rng.uniform(0, most_s) * S),
    )
    machine = played(log).machine
    assert machine.time.clock.shift_us(log[-1].chunk.start_us) == 0
    assert [epoch.ppm for epoch in machine.signals["ppg"].epochs] == [0] * len(
        machine.signals["ppg"].epochs
    )


@pytest.mark.parametrize(
    "by_us", [-HOUR_US, HOUR_US, 3 * DAY_US, -3 * DAY_US, -(2**32) * 1000, 45 * S, -45 * S]
)
def test_a_clock_that_is_set_loses_no_sample_and_moves_no_segment(by_us: int) -> None:
    seconds = 900
    wanted = played(log_of(seconds, right))
    found = played(log_of(seconds, set_by(by_us, 400)))
    assert same(found.segments, wanted.segments)
    assert found.moved_us == [-by_us]
    assert not found.refused


def test_a_clock_that_is_set_and_set_back_is_followed_both_times() -> None:
    def says(true_us: int) -> int:
        return true_us - (HOUR_US if 300 * S <= true_us - START_US < 600 * S else 0)

    found = played(log_of(900, says))
    assert found.moved_us == [HOUR_US, -HOUR_US]
    assert same(found.segments, played(log_of(900, right)).segments)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), by_us=st.sampled_from([-HOUR_US, HOUR_US, 3 * DAY_US]))
def test_out_of_order_around_a_jump_changes_nothing(seed: int, by_us: int) -> None:
    """What was sent before it may come after it."""
    rng = random.Random(seed)
    delays = [round(rng.uniform(0, 4.5) * S) + 5 * S * rng.randint(0, 1) for _ in range(90)]
    first = log_of(900, set_by(by_us, 400), lambda number: delays[number])
    wanted = played(log_of(900, right, lambda number: delays[number]))
    found = played(first)
    assert same(found.segments, wanted.segments)
    assert found.refused == wanted.refused


@pytest.mark.parametrize("off_us", [-HOUR_US, -DAY_US, 3 * DAY_US, 45 * S])
def test_a_wrong_offset_is_believed_after_it_held(off_us: int) -> None:
    found = played(log_of(1200, lambda true_us: true_us + off_us))
    (moved_us,) = found.moved_us
    assert abs(moved_us + off_us) <= S + 1e6 / FS_HZ, (
        "but for the way's own delay, which nothing tells"
    )
    ahead = off_us > 0
    assert found.refused == [Reason.FUTURE] * len(found.refused) if ahead else not found.refused
    assert len(found.refused) * CHUNK_S * S <= SETTLE_US
    settled = [s for s in found.segments if abs(s.start_us - START_US) < HOUR_US // 2]
    assert len(settled) >= (1200 - 150) // 10 - 4
    assert max(abs(error_us(s)) for s in settled) <= S + 1e6 / FS_HZ


def test_a_clock_that_was_never_set_is_put_right() -> None:
    """It began in 1970 with the battery."""
    found = played(log_of(1200, lambda true_us: true_us - START_US + 5 * S))
    assert found.refused == [Reason.BAD_TIME] * len(found.refused)
    assert len(found.refused) * CHUNK_S * S <= SETTLE_US
    assert max(abs(error_us(s)) for s in found.segments) <= S + 1e6 / FS_HZ
    assert len(found.segments) >= (1200 - 150) // 10 - 4


def test_hours_that_were_kept_back_are_no_wrong_clock() -> None:
    """A device seen for the first time sends what it kept, a hundred times as fast as it was."""
    kept = [
        Sent(START_US + 6 * HOUR_US + row.chunk.seq * 100_000, row.chunk)
        for row in log_of(6 * 3600, right)
    ]
    live = [row for row in log_of(7 * 3600, right) if row.append_us > kept[-1].append_us]
    found = played([*kept, *live])
    assert found.moved_us == []
    assert found.machine.time.clock.known


def test_a_gap_that_comes_later_is_no_jump() -> None:
    """Known and cut off for an hour: all of it is sent when the line is back, in an hour."""
    log = log_of(9000, right)
    held = [
        row._replace(append_us=row.append_us + HOUR_US) if 100 <= row.chunk.seq < 500 else row
        for row in log
    ]
    held.sort(key=lambda row: row.append_us)
    assert played(held).moved_us == []


@pytest.mark.parametrize("ppm", [200.0, -200.0, 60.0])
@pytest.mark.slow
def test_drift_is_found_and_taken_out(ppm: float) -> None:
    rng = random.Random(int(ppm))
    log = log_of(12 * 3600, right, lambda _: round(rng.expovariate(1 / 0.3) * S), ppm)
    found = played(log)
    late = [s for s in found.segments if s.start_us > START_US + 6 * HOUR_US]
    first, last = error_us(late[0], ppm), error_us(late[-1], ppm)
    untouched_us = abs(ppm) / 1e6 * 6 * HOUR_US
    assert abs(last - first) < 0.1 * untouched_us
    assert abs(last) < 1.5 * S, "what had moved before it was known stays"
    starts = [s.start_us + s.first_us for s in found.segments]
    assert starts == sorted(starts)
    steps = np.concatenate([np.diff(s.samples[np.isfinite(s.samples)]) for s in late])
    assert set(np.unique(steps)) <= {1.0, -29_999.0}, "no sample is lost or doubled inside"
    assert not found.refused


def test_event_time_never_goes_back_within_a_signal() -> None:
    log = log_of(5 * 3600, right, ppm=-400.0)
    machine = Device("p", "d", TimingSpec(), CONTEXT_US)
    last_us = 0.0
    for place, (append_us, chunk) in enumerate(log):
        machine.ingest([(0, chunk)], Arrival(place, append_us), append_us)
        buffer = machine.signals["ppg"]
        now_us = buffer.sample_us(buffer.top - 1)
        assert now_us > last_us
        last_us = now_us
    assert machine.time.clock.ppm != 0


@settings(max_examples=15)
@given(
    places=st.lists(st.integers(1, 700), max_size=5),
    by_us=st.sampled_from([0, -HOUR_US, 3 * DAY_US]),
    ppm=st.sampled_from([0.0, 300.0, -300.0]),
)
def test_a_restart_anywhere_changes_nothing(places: list[int], by_us: int, ppm: float) -> None:
    log = log_of(7200, set_by(by_us, 6000), ppm=ppm)
    assert same(played(log, places).segments, played(log).segments)


def test_a_number_of_every_few_minutes_may_take_its_time() -> None:
    rows = [
        Sent(
            START_US + number * 300 * S + 400 * S,
            msgspec.structs.replace(
                counted(number, number, START_US + number * 300 * S), data=b"ab", fs_hz=1 / 300
            ),
        )
        for number in range(40)
    ]
    assert played(rows).moved_us == []


def test_the_gateways_word_for_the_clock_replaces_what_was_found() -> None:
    machine = played(log_of(600, lambda true_us: true_us - HOUR_US)).machine
    assert machine.time.clock.jump_us > 0
    machine.time.set_offset(HOUR_US, 0)
    assert machine.time.clock == DeviceClock()


def test_one_wild_time_stamp_is_placed_by_the_counter() -> None:
    log = log_of(600, right)
    wild = [
        row._replace(chunk=msgspec.structs.replace(row.chunk, start_us=row.chunk.start_us + DAY_US))
        if row.chunk.seq == 30
        else row
        for row in log
    ]
    assert same(played(wild).segments, played(log).segments)


def test_a_channel_with_a_clock_of_its_own_does_not_lead_the_others_astray() -> None:
    log = log_of(900, right)
    own = [
        row._replace(
            chunk=msgspec.structs.replace(
                row.chunk,
                signal="temp",
                start_us=row.chunk.start_us - (HOUR_US if row.chunk.seq > 40 else 0),
            )
        )
        for row in log
    ]
    both = [row for pair in zip(log, own, strict=True) for row in pair]
    found = [s for s in played(both).segments if s.signal == "ppg"]
    assert same(found, played(log).segments)


@pytest.mark.parametrize("sent_s", [0.2, 100.0, 301.0])
def test_numbers_of_every_five_minutes_are_not_late_whenever_within_them_they_are_sent(
    sent_s: float,
) -> None:
    """A watch that sends when its five minutes are over, and one that sends at once."""
    period_us, log = 300 * S, list[Sent]()
    for number in range(40):
        at_us = START_US + number * period_us
        data = np.array([number], "<i2").tobytes()
        chunk = Chunk("p", "d", "temp", number, number, at_us, 1 / 300, "Cel", 1.0, 0.0, 0, data)
        log.append(Sent(at_us + round(sent_s * S), chunk))
    done = played(log)
    assert not done.refused
    assert not done.moved_us


def wild(seed: int) -> list[Sent]:
    """A device that restarts, is set, keeps back, repeats and comes out of order, at random."""
    rng = random.Random(seed)
    off_us, counter, sent = 0, 0, list[Sent]()
    for number in range(150):
        true_us = START_US + number * CHUNK_S * S
        if rng.random() < 0.04:
            off_us = rng.choice((0, 0, -HOUR_US, 90 * S, -90 * S, 3 * DAY_US, 50_000))
        if rng.random() < 0.03:
            counter = 0 if rng.random() < 0.5 else counter + rng.randrange(10_000)
        delay_us = round(rng.choice((0.5, 0.5, 0.5, 8.0, 40.0, 900.0)) * S)
        row = Sent(true_us + CHUNK_S * S + delay_us, counted(number, counter, true_us + off_us))
        sent += [row] * rng.choice((1, 1, 1, 1, 2))
        counter += round(CHUNK_S * FS_HZ)
    return sorted(sent, key=lambda row: row.append_us)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), places=st.lists(st.integers(1, 140), max_size=4))
def test_whatever_a_device_says_time_stays_bounded_and_a_restart_changes_nothing(
    seed: int, places: list[int]
) -> None:
    log = wild(seed)
    found = played(log)
    assert same(played(log, places).segments, found.segments)
    starts = [s.start_us for s in found.segments]
    assert starts == sorted(set(starts)), "each once, in order"
    latest_us = log[-1].append_us + TimingSpec().waits.future_us
    assert found.machine.max_event_us <= latest_us + S
