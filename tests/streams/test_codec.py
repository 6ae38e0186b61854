"""Bytes in, records out: identity, hostile input, and neighbours that survive."""

from __future__ import annotations

import math
import random
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codec import decode, encode, kind_of
from streams.records import (
    AlertCommand,
    Chunk,
    ClinicalEvent,
    DeviceStatus,
    Reason,
    Record,
    SignalBundle,
    Tick,
)

NOW_US = 1_700_000_000_000_000
TIMES = st.integers(946_684_800_000_000, 4_102_000_000_000_000)
IDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40)
TEXT = st.text(max_size=30)

CHUNKS = st.builds(
    Chunk, IDS, IDS, IDS, st.integers(0, 2**31), st.integers(0, 2**40), TIMES,
    st.sampled_from([1.0, 62.4725, 125.0, 250.0, 360.0]), st.just("mV"), st.floats(1e-6, 10),
    st.floats(-100, 100), st.just(0), st.binary(min_size=1, max_size=40).map(lambda b: b + b),
)  # fmt: skip
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.lists(CHUNKS, min_size=1, max_size=4).map(lambda c: SignalBundle(tuple(c))),
    st.builds(
        ClinicalEvent, IDS, st.integers(0, 99), st.sampled_from(["final", "cancelled"]),
        IDS, IDS, st.none() | st.floats(-1e6, 1e6), st.just("mmol/L"), TEXT, TIMES, TIMES, TEXT,
    ),
    st.builds(
        DeviceStatus, IDS, IDS, TEXT, IDS, st.none() | st.floats(0, 100), TEXT,
        st.integers(-(10**9), 10**9), TIMES,
    ),
    st.builds(
        AlertCommand, IDS, IDS, IDS, IDS, TEXT, TEXT, TEXT, st.integers(-1, 99),
        st.integers(0, 2**50), TIMES,
    ),
    st.builds(Tick, TIMES),
)  # fmt: skip


def chunk(**changes: Any) -> Chunk:
    """A good chunk with some fields changed."""
    good = Chunk(
        "p", "d", "ecg", 1, 0, NOW_US, 250.0, "mV", 0.01, 0.0, 0, bytes(500)
    )  # fmt: skip
    return msgspec.structs.replace(good, **changes)


def bundle_bytes() -> bytes:
    return encode(SignalBundle((chunk(), chunk(signal="ppg"), chunk(patient_id="q"))))


@given(RECORDS)
def test_decoding_gives_back_what_was_encoded(record: Record) -> None:
    found = decode(encode(record), 3, 7, NOW_US)
    assert found.record == record
    assert (found.partition, found.offset, found.append_us) == (3, 7, NOW_US)
    assert not found.rejected


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_arbitrary_bytes_are_refused_with_their_bytes(value: bytes) -> None:
    found = decode(value, 0, 0, NOW_US)
    assert found.record is not None or found.rejected[0].original == value


def test_every_truncation_is_refused_or_read_and_never_raises() -> None:
    value = bundle_bytes()
    for size in range(len(value)):
        found = decode(value[:size], 0, 0, NOW_US)
        assert found.rejected
        assert found.record is None


def test_mutated_bundles_never_raise_and_never_disappear() -> None:
    value, chance = bundle_bytes(), random.Random(1)
    for _ in range(5000):
        broken = bytearray(value)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        found = decode(bytes(broken), 0, 0, NOW_US)
        assert found.record is not None or found.rejected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b"\xdd\xff\xff\xff\xff", Reason.UNDECODABLE),
        (b"\x91" * 5000, Reason.UNDECODABLE),
        (msgspec.msgpack.encode([99, "tick", [1]]), Reason.UNKNOWN_VERSION),
        (msgspec.msgpack.encode([1, "song", [1]]), Reason.UNKNOWN_KIND),
        (msgspec.msgpack.encode([1, "tick", ["now"]]), Reason.BAD_FIELD),
        (msgspec.msgpack.encode([1, "tick", [-5]]), Reason.BAD_TIME),
        (msgspec.msgpack.encode([1, "bundle", 5]), Reason.BAD_FIELD),
    ],
)
def test_what_cannot_be_read_says_why_and_keeps_its_bytes(value: bytes, reason: Reason) -> None:
    found = decode(value, 0, 0, NOW_US)
    assert found.record is None
    assert [r.reason for r in found.rejected] == [reason]
    assert kind_of(Tick(1)) == "tick"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fs_hz": 0.0}, Reason.BAD_RATE),
        ({"fs_hz": 1e9}, Reason.BAD_RATE),
        ({"fs_hz": math.nan}, Reason.BAD_RATE),
        ({"scale": math.nan}, Reason.BAD_SCALE),
        ({"scale": 0.0}, Reason.BAD_SCALE),
        ({"offset": math.inf}, Reason.BAD_SCALE),
        ({"data": b""}, Reason.BAD_LENGTH),
        ({"data": b"abc"}, Reason.BAD_LENGTH),
        ({"start_us": -1}, Reason.BAD_TIME),
        ({"start_us": 10_413_792_000_000_000}, Reason.BAD_TIME),
        ({"patient_id": "x" * 10_000}, Reason.BAD_FIELD),
        ({"patient_id": "a\nb"}, Reason.BAD_FIELD),
        ({"first_sample": -1}, Reason.BAD_FIELD),
        ({"codec": 9}, Reason.BAD_FIELD),
    ],
)
def test_a_bad_chunk_costs_its_neighbours_nothing(changes: dict[str, Any], reason: Reason) -> None:
    bad = chunk(**changes)
    found = decode(encode(SignalBundle((chunk(), bad, chunk(signal="ppg")))), 0, 0, NOW_US)
    assert found.record == SignalBundle((chunk(), chunk(signal="ppg")))
    assert [(r.reason, r.index) for r in found.rejected] == [(reason, 1)]
    assert found.rejected[0].original


def test_a_chunk_of_the_wrong_type_costs_its_neighbours_nothing() -> None:
    whole = msgspec.msgpack.decode(encode(SignalBundle((chunk(), chunk(signal="ppg")))))
    whole[2][0].insert(1, ["p", 7, "ecg"])
    found = decode(msgspec.msgpack.encode(whole), 0, 0, NOW_US)
    assert found.record == SignalBundle((chunk(), chunk(signal="ppg")))
    assert [(r.reason, r.index) for r in found.rejected] == [(Reason.BAD_FIELD, 1)]


def test_an_event_without_a_known_time_is_refused_by_that_name() -> None:
    event = ClinicalEvent("e", 1, "final", "p", "sbp", 120.0, "mm[Hg]", "", NOW_US, 0, "ehr")
    assert decode(encode(event), 0, 0, NOW_US).rejected[0].reason is Reason.NO_KNOWN_TIME


def test_hostile_ids_and_those_of_events_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(500):
            long = chunk(patient_id=f"{number}" * 20_000)
            assert decode(encode(SignalBundle((long,))), 0, 0, NOW_US).record is None
            event = ClinicalEvent(
                f"e{number:0100}",
                1,
                "final",
                "p",
                "sbp",
                120.0,
                "mm[Hg]",
                "",
                NOW_US,
                NOW_US,
                "ehr",
            )
            assert decode(encode(event), 0, 0, NOW_US).record == event
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500_000  # kept, they are 30 MB
