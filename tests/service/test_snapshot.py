"""Stored state: written by this build, or refused before a single field of it is used."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from features.catalog import catalog_hash
from service import snapshot
from service.snapshot import SNAPSHOT_VERSION, standing
from service.squeeze import MOST_BYTES, restored, squeezed
from streams.errors import SnapshotMismatch
from streams.partition import partition_of
from tests.service.engine_kit import PARTITIONS, START_US, S, engine, log_of, patient, revived

OLD = Path(__file__).parents[1] / "data" / "snapshots" / "version_2.msgpack"
WHERE = partition_of("p", PARTITIONS)


def stored() -> bytes:
    """State of a patient in the middle of its data."""
    machine = engine()
    log = log_of([patient("p", 60, off=False)])
    machine.feed([record for record in log if record.append_us <= START_US + 45 * S])
    return machine.snapshots(WHERE)[0][2]


def refused(state: bytes) -> str:
    with pytest.raises(SnapshotMismatch) as refusal:
        engine().restore(WHERE, "p", state)
    return str(refusal.value)


def test_bytes_that_version_2_wrote_are_refused_by_their_version() -> None:
    said = refused(OLD.read_bytes())
    assert f"version 2; this build needs {SNAPSHOT_VERSION}" in said
    assert "topic prefix of its own" in said
    with pytest.raises(SnapshotMismatch):
        standing(OLD.read_bytes())


def test_a_version_to_come_is_refused_by_its_version() -> None:
    state = stored()
    place = len(snapshot._MAGIC)
    later = state[:place] + bytes((SNAPSHOT_VERSION + 1,)) + state[place + 1 :]
    assert f"version {SNAPSHOT_VERSION + 1};" in refused(later)


@pytest.mark.parametrize("state", [b"", b"nonsense", b"\x90", b"\x91\xc0", snapshot._MAGIC])
def test_bytes_of_nobody_are_refused(state: bytes) -> None:
    assert "version unknown" in refused(state)


def test_a_state_that_was_cut_or_lengthened_anywhere_is_refused() -> None:
    state = stored()
    for size in range(1, len(state), 97):
        refused(state[:size])
    refused(state + b"x")


def test_a_state_that_was_changed_anywhere_is_refused() -> None:
    state = stored()
    for place in range(len(snapshot._MAGIC) + 1, len(state), 61):
        changed = bytearray(state)
        changed[place] ^= 0x10
        assert "cannot be read by this build" in refused(bytes(changed))


def test_a_state_that_says_it_is_endless_is_refused_before_room_is_made_for_it() -> None:
    packed = squeezed(b"x" * 100)
    with pytest.raises(ValueError, match="too long"):
        restored((MOST_BYTES + 1).to_bytes(4, "little") + packed[4:])
    with pytest.raises(ValueError, match="not squeezed"):
        restored((99).to_bytes(4, "little") + packed[4:])
    with pytest.raises(ValueError, match="not squeezed"):
        restored((101).to_bytes(4, "little") + packed[4:])


def test_a_state_of_another_catalogue_is_refused() -> None:
    state = stored()
    body = len(snapshot._MAGIC) + 1
    fields = msgspec.msgpack.decode(restored(state[body:]))
    assert fields[1] == catalog_hash()
    fields[1] = "another"
    changed = state[:body] + squeezed(msgspec.msgpack.encode(fields))
    assert "catalogue another" in refused(changed)


def test_a_patient_is_not_fed_before_its_samples_are_back() -> None:
    machine = engine()
    loaded = machine.restore(WHERE, "p", stored())
    assert loaded.replay < loaded.frontier
    with pytest.raises(AssertionError):
        machine.feed([])
    with pytest.raises(SnapshotMismatch, match="no longer holds the samples"):
        machine.complete(WHERE)


def test_a_log_with_other_samples_at_the_same_offsets_is_refused() -> None:
    state = {(WHERE, "p"): stored()}
    revived(state, log_of([patient("p", 60, off=False)]))
    with pytest.raises(SnapshotMismatch, match="no longer holds the samples"):
        revived(state, log_of([patient("p", 60, rate_bpm=99, off=False)]))


def test_a_device_that_is_off_needs_nothing_of_the_log() -> None:
    machine = engine()
    machine.feed(log_of([patient("p", 60)], tail_us=100 * S))
    ((_, frontier, state),) = machine.snapshots(WHERE)
    loaded = engine().restore(WHERE, "p", state)
    assert loaded.replay == loaded.frontier == frontier


def test_a_share_of_the_patients_is_stored_those_that_waited_longest_first() -> None:
    names = [n for n in (f"n{k}" for k in range(99)) if partition_of(n, PARTITIONS) == WHERE][:6]
    machine = engine()
    log = log_of([patient(name, 30, off=False) for name in names])
    half = len(log) // 2
    machine.feed(log[:half])
    first = [row[0] for row in machine.snapshots(WHERE, 0.34)]
    assert len(first) == 3
    machine.feed(log[half:])
    assert (machine.unstored(WHERE) or 0) < log[half].offset
    second = [row[0] for row in machine.snapshots(WHERE, 0.34)]
    assert sorted(first + second) == sorted(names)
    assert machine.unstored(WHERE) is not None
    machine.snapshots(WHERE)
    assert machine.unstored(WHERE) is None


def test_who_has_not_changed_is_given_again_the_same_when_asked_for() -> None:
    machine = engine()
    machine.feed(log_of([patient("p", 30, off=False)]))
    given = machine.snapshots(WHERE)
    assert machine.snapshots(WHERE) == []
    assert machine.snapshots(WHERE, also=["p", "nobody"]) == given


def test_who_has_changed_is_not_given_twice() -> None:
    machine = engine()
    machine.feed(log_of([patient("p", 30, off=False)]))
    assert [row[0] for row in machine.snapshots(WHERE, also=["p"])] == ["p"]
