"""Silences and maintenance in force, as the workers last stored them.

The engine's state is the only place that has them: the log forgets after a day. So the list is as
old as the last snapshot (at most `worker.snapshot_s`). Not here: making one (`service.alert_desk`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from alerts.silences import Silence
from service.config import Config
from service.snapshot import standing
from streams.io.kafka_log import LogWriter
from streams.io.state_store import StateStore
from streams.records import ANYONE
from streams.topics import topic_name


class InForce(NamedTuple):
    """A silence, whose it is, and how many partitions know it."""

    silence: Silence
    patient: str  # ANYONE: everybody's
    partitions: int


def in_force(config: Config, now_us: int) -> list[InForce]:
    """Every silence that is in force or yet to come, the one that ends first first.

    Parameters
    ----------
    config : Config
        Which broker and prefix.
    now_us : int
        What ended by then is left out.

    Raises
    ------
    BrokerError
        If Kafka does not answer.
    SnapshotMismatch
        If the workers are of another build.
    """
    kafka = config.kafka

    async def read() -> list[tuple[int, str, bytes]]:
        async with LogWriter(kafka.broker) as writer:
            store = StateStore(kafka.broker, topic_name("state", kafka.prefix), writer)
            found = await store.read(range(kafka.partitions))
        rows = found.states.items()
        return [(part, row.patient_id, row.state) for part, own in rows for row in own]

    return listed(asyncio.run(read()), now_us)


def listed(states: Iterable[tuple[int, str, bytes]], now_us: int) -> list[InForce]:
    """The silences in (partition, patient, state) of every patient."""
    for_all: dict[str, tuple[Silence, set[int]]] = {}
    own: dict[str, tuple[Silence, str]] = {}
    for partition, patient, state in states:
        for silence in standing(state).silences:
            if silence.ends_us <= now_us:
                continue
            if patient == ANYONE:
                for_all.setdefault(silence.id, (silence, set()))[1].add(partition)
            else:
                own[silence.id] = (silence, patient)
    found = [InForce(silence, ANYONE, len(known)) for silence, known in for_all.values()]
    alone = [InForce(*pair, 1) for name, pair in own.items() if name not in for_all]
    return sorted([*found, *alone], key=lambda each: (each.silence.ends_us, each.silence.id))
