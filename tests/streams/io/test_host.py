"""What a host does around the engine, without a broker: order, contiguity, crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, cast

import pytest

from streams.codec import encode
from streams.errors import SnapshotMismatch
from streams.io.host import Connections, Host
from streams.io.host_metrics import SilentMetrics
from streams.io.input_log import RawRecord
from streams.io.kafka_log import LogWriter, Message
from streams.io.outbox import Published
from streams.io.state_store import PatientState, Restored, StateStore, newest
from streams.processor import Processor
from streams.records import Chunk, SignalBundle


class Journal:
    """Stands for the broker: remembers in order what was written, and can refuse."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, Any]] = []
        self.rows: list[PatientState] = []
        self.hang = False

    async def send_all(self, messages: Sequence[Message]) -> None:
        if self.hang and messages:
            await asyncio.Event().wait()
        self.steps += [("output", message.value) for message in messages]

    async def read(self, partitions: Sequence[int]) -> Restored:
        epoch = max((row.epoch for row in self.rows), default=0)
        return Restored({partition: newest(self.rows) for partition in partitions}, epoch)

    async def write(
        self, partition: int, epoch: int, now_us: int, snapshots: Sequence[tuple[str, int, bytes]]
    ) -> None:
        self.rows += [
            PatientState(name, epoch, frontier, state) for name, frontier, state in snapshots
        ]
        self.steps += [("state", frontier) for _, frontier, _ in snapshots]

    def stale(self, partition: int) -> list[str]:
        return []

    @property
    def outputs(self) -> list[bytes]:
        return [value for kind, value in self.steps if kind == "output"]


@pytest.fixture
def journal() -> Journal:
    return Journal()


class Nothing:
    """No record: the toy's state names none."""

    async def read(self, wanted: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[RawRecord]]:
        raise AssertionError(wanted)
        yield []


NOTHING = Nothing()


def host_of(journal: Journal, processor: Processor, published: Published | None = None) -> Host:
    writer, states = cast(LogWriter, journal), cast(StateStore, journal)
    return Host(processor, Connections(writer, states, NOTHING, published=published), "test")


def record(offset: int, partition: int = 0) -> RawRecord:
    data = offset.to_bytes(4, "little")
    at_us = 1_500_000_000_000_000 + offset
    chunk = Chunk("p", "d", "ecg", offset, offset, at_us, 250.0, "mV", 1.0, 0.0, 0, data)
    return RawRecord(partition, offset, at_us, encode(SignalBundle((chunk,))))


def run(*steps: Coroutine[Any, Any, Any]) -> list[Any]:
    async def in_order() -> list[Any]:
        return [await step for step in steps]

    return asyncio.run(in_order())


def test_outputs_are_safe_before_state_and_state_before_the_position(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)
    *_, position = run(
        host.restore({0: 0}), host.process([record(0), record(1)]), host.checkpoint()
    )
    assert [kind for kind, _ in journal.steps] == ["output", "output", "state"]
    assert position == {0: 2}


def test_what_was_already_fed_is_not_fed_again(journal: Journal, toy_processor: Processor) -> None:
    host = host_of(journal, toy_processor)
    run(
        host.restore({0: 0}),
        host.process([record(0), record(1)]),
        host.process([record(0), record(1), record(2)]),
    )
    assert len(journal.outputs) == 3


def test_what_comes_too_early_waits_for_what_is_missing(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)
    run(host.restore({0: 0}), host.process([record(0), record(2), record(3)]))
    assert host.positions == {0: 1}
    assert host.early(longer_than_s=0) == {0: 1}
    run(host.process([record(1), record(2)]))
    assert host.positions == {0: 3}
    assert host.early(longer_than_s=0) == {}


def test_records_of_a_partition_it_does_not_own_are_left_alone(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)
    run(host.restore({0: 0}), host.process([record(0, partition=1)]))
    assert journal.outputs == []
    run(host.drop([0]), host.process([record(0)]))
    assert journal.outputs == []


def test_what_the_broker_has_not_acknowledged_is_a_figure(
    journal: Journal, toy_processor: Processor
) -> None:
    class Told(SilentMetrics):
        held_now = 0

        def held(self, count: int) -> None:
            self.held_now = count

    told = Told()
    writer, states = cast(LogWriter, journal), cast(StateStore, journal)
    host = Host(toy_processor, Connections(writer, states, NOTHING), "test", told)

    async def flow() -> list[int]:
        await host.restore({0: 0})
        journal.hang = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(host.process([record(0), record(1)]), 0.2)
        found = [told.held_now]
        journal.hang = False
        await host.checkpoint()
        return [*found, told.held_now]

    assert asyncio.run(flow()) == [2, 0]


def test_a_cancelled_publish_is_made_up_for_by_the_checkpoint(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)

    async def flow() -> dict[int, int]:
        await host.restore({0: 0})
        journal.hang = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await host.process([record(0)])
        journal.hang = False
        return await host.checkpoint()

    assert asyncio.run(flow()) == {0: 1}
    assert [kind for kind, _ in journal.steps] == ["output", "state"]


@pytest.mark.parametrize("replay_point", range(5))
def test_reading_again_from_any_earlier_offset_repeats_nothing(
    journal: Journal, toy_processor: Processor, replay_point: int
) -> None:
    host = host_of(journal, toy_processor)
    run(host.restore({0: 0}), host.process([record(n) for n in range(4)]), host.checkpoint())
    before = journal.outputs
    run(
        host.drop([0]),
        host.restore({0: min(replay_point, 4)}),
        host.process([record(n) for n in range(min(replay_point, 4), 6)]),
    )
    straight = Journal()
    fresh = host_of(straight, type(toy_processor)())
    run(fresh.restore({0: 0}), fresh.process([record(n) for n in range(6)]))
    assert before + journal.outputs[len(before) :] == straight.outputs


class SaidAlready:
    """An alerts topic on which an earlier owner left events."""

    def __init__(self, *ids: bytes) -> None:
        self.ids = set(ids)
        self.asked: list[dict[int, int]] = []

    async def since(self, starts: Mapping[int, int]) -> dict[int, set[bytes]]:
        self.asked.append(dict(starts))
        return {partition: set(self.ids) for partition in starts}


def test_an_alert_event_that_is_out_already_is_not_sent_again(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor, SaidAlready(b"p-10"))
    run(host.restore({0: 0}), host.process([record(n) for n in range(20)]))
    assert len(journal.outputs) == 20 + 1  # the twentieth chunk's alert, not the tenth's


def test_of_a_partition_that_stays_is_asked_what_others_said_only_in_doubt(
    journal: Journal, toy_processor: Processor
) -> None:
    said = SaidAlready()
    host = host_of(journal, toy_processor, said)
    run(host.restore({0: 0}), host.process([record(n) for n in range(5)]))
    said.ids.add(b"p-10")  # another owner went on from here while this one slept
    run(host.restore({0: 2}, doubt=True), host.process([record(n) for n in range(5, 20)]))
    assert said.asked == [{0: 0}, {0: 5}], "from where this one is, not from the replay point"
    assert len(journal.outputs) == 20 + 1
    run(host.restore({0: 2}))
    assert len(said.asked) == 2


def test_a_partition_that_stays_keeps_its_state_and_one_that_was_moved_on_is_loaded(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)
    run(host.restore({0: 0, 1: 0}), host.process([record(n) for n in range(3)]))
    *_, loaded = run(host.checkpoint(), host.keep([0]), host.restore({0: 1}))
    assert loaded == []
    assert host.positions == {0: 3}  # reading again from offset 1 skips what is done
    (loaded,) = run(host.restore({0: 5}))  # somebody else has committed further meanwhile
    assert loaded == [0]
    assert host.positions == {0: 5}


def test_a_restore_that_was_cancelled_leaves_nothing_half_loaded(
    journal: Journal, toy_processor: Processor
) -> None:
    host = host_of(journal, toy_processor)

    async def flow() -> None:
        async def never(partitions: Sequence[int]) -> Restored:
            await asyncio.Event().wait()
            raise AssertionError

        read, journal.read = journal.read, never  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await host.restore({0: 0, 1: 0})
        journal.read = read  # type: ignore[method-assign]
        await host.keep([0])
        await host.restore({0: 0})
        await host.process([record(0)])

    asyncio.run(flow())
    assert host.positions == {0: 1}
    assert len(journal.outputs) == 1


def test_a_new_owner_s_epoch_is_above_every_epoch_it_read(
    journal: Journal, toy_processor: Processor
) -> None:
    far_ahead = 2**62  # a worker whose clock was wrong
    journal.rows.append(PatientState("p", far_ahead, 0, b"\x94\x00\x00\x00\x00"))
    host = host_of(journal, toy_processor)
    run(host.restore({0: 0}), host.process([record(0)]), host.checkpoint())
    assert journal.rows[-1].epoch == far_ahead + 1
    assert newest(journal.rows)[0].frontier == 1


def test_an_old_owner_s_late_write_does_not_win() -> None:
    rows = [
        PatientState("p", 1, 90, b"new"),
        PatientState("p", 2, 50, b"a sleeper between them"),
        PatientState("q", 1, 5, b"old"),
        PatientState("q", 1, 7, b"newer"),
        PatientState("q", 1, 6, b"late"),
    ]
    assert [row.state for row in newest(rows)] == [b"new", b"newer"]


def test_a_state_that_contradicts_its_frontier_is_refused(
    journal: Journal, toy_processor: Processor
) -> None:
    journal.rows.append(PatientState("p", 1, 99, b"\x94\x05\x00\x00\x00"))
    with pytest.raises(SnapshotMismatch, match="its frontier is 5, the record says 99"):
        run(host_of(journal, toy_processor).restore({0: 0}))
