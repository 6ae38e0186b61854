"""Engine state on a real broker: what a restore reads, and what it must never miss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streams.io import state_store
from streams.io.kafka_log import LogWriter, Stored
from streams.io.kafka_read import read_topic
from streams.io.state_store import SINCE_HEADER, PatientState, StateStore

pytestmark = pytest.mark.broker

PARTITION = 3
NOW_US = 1_700_000_000_000_000
Steps = Callable[[StateStore], Awaitable[None]]


def with_store(bootstrap: str, prefix: str, *steps: Steps) -> list[PatientState]:
    """Let each step have a store of its own; what the last restore then finds."""

    async def flow() -> list[PatientState]:
        topic = f"{prefix}.state.v1"
        async with LogWriter(bootstrap) as writer:
            for step in steps:
                await step(StateStore(bootstrap, topic, writer))
            found = await StateStore(bootstrap, topic, writer).read([PARTITION])
        return found.states[PARTITION]

    return asyncio.run(flow())


async def rounds(
    store: StateStore, names: list[str], frontiers: range, silent: str | None = None
) -> None:
    """Own the partition and store these patients at each frontier, the silent one only first."""
    await store.read([PARTITION])
    for frontier in frontiers:
        rows = [
            (name, frontier, f"{name}@{frontier}".encode())
            for name in names
            if name != silent or frontier == frontiers[0] or name in store.stale(PARTITION)
        ]
        await store.write(PARTITION, 1, NOW_US, rows)


def test_a_restore_reads_only_from_where_the_newest_states_lie(
    kafka_bootstrap: str, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"p{number}" for number in range(5)]
    parsed: list[int] = []
    parse = state_store._parse

    def counting(record: Stored) -> PatientState:
        parsed.append(record.offset)
        return parse(record)

    async def forty(store: StateStore) -> None:
        await rounds(store, names, range(1, 41))
        monkeypatch.setattr(state_store, "_parse", counting)

    found = with_store(kafka_bootstrap, kafka_prefix, forty)
    assert [(row.patient_id, row.frontier) for row in found] == [(name, 40) for name in names]
    assert parsed == list(range(38 * 5, 40 * 5))  # of 200: the last round, and the one before it


def test_a_patient_who_has_been_silent_for_long_is_stored_again_as_they_are(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    names = [f"p{number}" for number in range(10)]

    async def long(store: StateStore) -> None:
        await rounds(store, names, range(1, 61), silent="p4")

    found = {row.patient_id: row for row in with_store(kafka_bootstrap, kafka_prefix, long)}
    assert found["p4"].frontier < 60
    assert {row.frontier for name, row in found.items() if name != "p4"} == {60}
    rows = asyncio.run(read_topic(kafka_bootstrap, f"{kafka_prefix}.state.v1"))
    since = int.from_bytes(rows[-1].header(SINCE_HEADER) or b"", "little")
    assert since > 200
    assert 2 <= sum(row.key == b"p4" for row in rows) <= 4


def test_storing_opens_no_further_clients(
    kafka_bootstrap: str, kafka_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has read leaves a megabyte in cycles, which nobody looks for (ADR 0160)."""

    async def silent(store: StateStore) -> None:
        await store.read([PARTITION])
        monkeypatch.setattr(state_store, "open_consumer", None)
        names = [f"p{number}" for number in range(10)]
        for frontier in range(1, 41):
            rows = names if frontier == 1 else names[1:]
            await store.write(PARTITION, 1, NOW_US, [(name, frontier, b"x") for name in rows])
        assert store.stale(PARTITION) == ["p0"]
        monkeypatch.undo()

    assert len(with_store(kafka_bootstrap, kafka_prefix, silent)) == 10


def test_a_sleepers_late_write_hides_nothing_that_was_stored_after_it_lost_the_partition(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    sleepers: list[StateStore] = []

    async def first(store: StateStore) -> None:
        await rounds(store, ["a", "b"], range(1, 6))
        sleepers.append(store)

    async def second(store: StateStore) -> None:
        await rounds(store, ["a", "b", "c"], range(6, 16))
        await sleepers[0].write(PARTITION, 1, NOW_US, [("a", 5, b"a@5, late")])

    async def third(store: StateStore) -> None:
        assert (await store.read([PARTITION])).stale == 1

    found = with_store(kafka_bootstrap, kafka_prefix, first, second, third)
    assert [(row.patient_id, row.state) for row in found] == [
        ("a", b"a@15"),
        ("b", b"b@15"),
        ("c", b"c@15"),
    ]


def test_a_writer_that_never_read_a_partition_claims_nothing_about_it(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    async def owner(store: StateStore) -> None:
        await rounds(store, ["a", "b"], range(1, 4))

    async def stranger(store: StateStore) -> None:
        await store.write(PARTITION, 1, NOW_US, [("c", 1, b"c@1")])
        await store.write(PARTITION, 1, NOW_US, [("c", 2, b"c@2")])

    found = with_store(kafka_bootstrap, kafka_prefix, owner, stranger)
    assert [row.state for row in found] == [b"a@3", b"b@3", b"c@2"]
