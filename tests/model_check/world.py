"""Kafka in memory: a log, committed offsets, a state topic and outputs that outlive every worker.

A worker is the real `Host` around the real engine. What it writes goes through a `Line` that can be
cut after any number of messages: the worker is then dead, or a zombie that writes on later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import cast

from streams.io.host import Connections, Host
from streams.io.input_log import RawRecord
from streams.io.kafka_log import LogWriter, Message
from streams.io.state_store import PatientState, Restored, StateStore, newest
from streams.processor import Processor

PREFIX = "check"
Said = tuple[str, bytes, bytes]  # topic, key, value
Choice = Callable[[list[PatientState]], list[PatientState]]


class KilledError(Exception):
    """The worker's process ended here."""


class World:
    """What survives."""

    def __init__(self, log: Sequence[RawRecord], choose: Choice = newest) -> None:
        self.log: dict[int, list[RawRecord]] = {}
        for record in log:
            self.log.setdefault(record.partition, []).append(record)
        self.order = list(log)
        self.choose = choose
        self.committed = dict.fromkeys(self.log, 0)
        self.states: dict[int, list[PatientState]] = {number: [] for number in self.log}
        self.outputs: dict[int, list[Said]] = {number: [] for number in self.log}

    def behind(self, positions: Mapping[int, int]) -> list[RawRecord]:
        """Records at or after these positions, in append order."""
        return [r for r in self.order if r.offset >= positions.get(r.partition, 1 << 62)]


class Line:
    """A worker's connection: what it writes, until it is cut after `left` more messages."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.left: int | None = None

    def _one(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise KilledError
            self.left -= 1

    async def send_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._one()
            row = (message.topic, message.key or b"", message.value or b"")
            self.world.outputs[message.partition].append(row)

    async def read(self, partitions: Sequence[int]) -> Restored:
        rows = {number: self.world.states[number] for number in partitions}
        epoch = max((row.epoch for found in rows.values() for row in found), default=0)
        return Restored({n: self.world.choose(found) for n, found in rows.items()}, epoch)

    async def write(
        self, partition: int, epoch: int, now_us: int, snapshots: Sequence[tuple[str, int, bytes]]
    ) -> None:
        for name, frontier, state in snapshots:
            self._one()
            self.world.states[partition].append(PatientState(name, epoch, frontier, state))

    def stale(self, partition: int) -> list[str]:
        """Every second patient: also who has not changed is stored again and again."""
        return sorted({row.patient_id for row in self.world.states[partition]})[::2]


class Source:
    """The input topic for what is to be read again."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def read(self, wanted: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[RawRecord]]:
        for number, (start, stop) in wanted.items():
            yield self.world.log[number][start:stop]


class Worker:
    """One process: a host, its line, and the records it has been given."""

    def __init__(self, world: World, engine: Callable[[], Processor]) -> None:
        self.world = world
        self.line = Line(world)
        line = self.line
        connected = Connections(cast(LogWriter, line), cast(StateStore, line), Source(world))
        self.host = Host(engine(), connected, PREFIX)

    async def start(self) -> None:
        """Take every partition over from where it is committed."""
        await self.host.restore(self.world.committed)

    async def work(self, size: int) -> bool:
        """Process some records; False when there are none left."""
        due = self.world.behind(self.host.positions)[:size]
        await self.host.process(due)
        await self.host.catch_up()
        return bool(due) or self.host.has_left

    async def store(self, share: float) -> dict[int, int]:
        """Publish and store; what may now be committed."""
        return await self.host.checkpoint(share)

    def end(self) -> None:
        """Let its thread go."""
        self.host.close()


def straight(log: Sequence[RawRecord], engine: Callable[[], Processor]) -> World:
    """What a run without any crash leaves."""

    async def run() -> World:
        world = World(log)
        worker = Worker(world, engine)
        await worker.start()
        while await worker.work(200):
            pass
        worker.end()
        return world

    return asyncio.run(run())
