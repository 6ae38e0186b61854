"""A gateway on a real broker: bundles, an outage, a kill, and patients whose order is kept."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from streams.codec import decode
from streams.errors import SourceError
from streams.io.gateway import Gateway, GatewaySpec
from streams.io.kafka_admin import create_topics
from streams.io.kafka_log import Stored
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import Chunk, ClinicalEvent, SignalBundle
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import OwnService

START_US = 1_750_000_000_000_000
DATA = np.arange(25, dtype="<i2").tobytes()


def chunk(patient: str, number: int) -> Chunk:
    start_us = START_US + number * 1_000_000
    return Chunk(patient, "d", "resp", 0, 25 * number, start_us, 25.0, "1", 0.1, 0.0, 0, DATA)


def firsts(rows: list[Stored]) -> dict[str, list[int]]:
    """Sample counters by patient in the order of the log."""
    found: dict[str, list[int]] = {}
    for row in rows:
        record = decode(row.value, row.partition, row.offset, row.append_us).record
        assert isinstance(record, SignalBundle)
        for each in record.chunks:
            assert partition_of(each.patient_id, PARTITIONS) == row.partition
            found.setdefault(each.patient_id, []).append(each.first_sample)
    return found


def read(address: str, prefix: str) -> list[Stored]:
    return asyncio.run(read_topic(address, topic_name("in", prefix)))


@pytest.mark.broker
def test_chunks_of_a_partition_share_records(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    spec = GatewaySpec(kafka_bootstrap, tmp_path / "spool", kafka_prefix, PARTITIONS, bundle_s=0.2)

    async def play() -> None:
        async with Gateway(spec) as gateway:
            for number in range(3):
                for patient in range(40):
                    gateway.put(chunk(f"p{patient}", number))
                await asyncio.sleep(0.3)
            assert await gateway.drain(20)

    asyncio.run(play())
    rows = read(kafka_bootstrap, kafka_prefix)
    assert len(rows) <= 4 * PARTITIONS
    assert firsts(rows) == {f"p{i}": [0, 25, 50] for i in range(40)}


@pytest.mark.broker
@pytest.mark.slow
def test_an_outage_is_written_to_disk_and_sent_in_order_afterwards(
    private_broker: OwnService, tmp_path: Path
) -> None:
    create_topics(private_broker.address, "gate", PARTITIONS)
    spec = GatewaySpec(
        private_broker.address, tmp_path / "spool", "gate", PARTITIONS, bundle_s=0.05
    )

    async def play() -> None:
        async with Gateway(spec) as gateway:
            for number in range(60):
                for patient in range(4):
                    gateway.put(chunk(f"p{patient}", number))
                if number == 20:
                    await asyncio.to_thread(private_broker.act, "stop")
                if number == 40:
                    assert gateway.waiting_bytes() > 0
                    await asyncio.to_thread(private_broker.act, "start")
                await asyncio.sleep(0.02)
            assert await gateway.drain(60)

    asyncio.run(play())
    expected = [25 * n for n in range(60)]
    for patient, seen in firsts(read(private_broker.address, "gate")).items():
        assert list(dict.fromkeys(seen)) == expected, patient  # repeats are allowed, disorder not


KILLED = """
import asyncio, sys
from pathlib import Path
from streams.io.gateway import Gateway, GatewaySpec
from tests.fixtures_kafka import PARTITIONS
from tests.streams.io.test_gateway import chunk

async def play():
    spec = GatewaySpec(sys.argv[1], Path(sys.argv[3]), sys.argv[2], PARTITIONS, bundle_s=0.02)
    async with Gateway(spec) as gateway:
        number = int(sys.argv[4])
        while True:
            gateway.put(chunk("p0", number))
            gateway._close_bundles(list(gateway._open))  # on disk from here on
            print(number, flush=True)
            number += 1
            await asyncio.sleep(0.005)

asyncio.run(play())
"""


@pytest.mark.broker
@pytest.mark.slow
def test_a_killed_gateway_loses_nothing_that_was_on_its_disk(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    spool, number = tmp_path / "spool", 0
    for _ in range(3):
        command = [sys.executable, "-c", KILLED, kafka_bootstrap, kafka_prefix, str(spool)]
        with subprocess.Popen(
            [*command, str(number)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            until = number + 100
            while number < until:
                number = int(process.stdout.readline()) + 1
            process.send_signal(signal.SIGKILL)
            number += len(process.stdout.read().splitlines())

    async def finish() -> None:
        async with Gateway(GatewaySpec(kafka_bootstrap, spool, kafka_prefix, PARTITIONS)) as rest:
            assert await rest.drain(30)

    asyncio.run(finish())
    seen = list(dict.fromkeys(firsts(read(kafka_bootstrap, kafka_prefix))["p0"]))
    assert seen[:number] == [25 * n for n in range(number)]


def test_what_the_engine_would_refuse_is_refused_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        gateway = Gateway(GatewaySpec("127.0.0.1:1", tmp_path / "spool"))
        bad = Chunk("p", "d", "resp", 0, 0, START_US, 0.0, "1", 0.1, 0.0, 0, DATA)
        with pytest.raises(SourceError, match="bad_rate"):
            gateway.put(bad)
        fact = ClinicalEvent("e", 1, "final", "p", "hr", 1.0, "", "", START_US, 0, "ehr")
        with pytest.raises(SourceError, match="no_known_time"):
            gateway.put(fact)
        assert gateway.waiting_bytes() == 0
        await gateway.close(0.0)

    asyncio.run(play())


def test_without_a_broker_it_takes_and_keeps(tmp_path: Path) -> None:
    spec = GatewaySpec("127.0.0.1:1", tmp_path / "spool", bundle_s=0.02)

    async def play() -> int:
        async with Gateway(spec) as gateway:
            for number in range(50):
                gateway.put(chunk("p0", number))
            began_s = time.monotonic()
            assert not await gateway.drain(0.3)
            assert time.monotonic() - began_s < 5
            return gateway.waiting_bytes()

    waiting = asyncio.run(play())

    async def later() -> int:
        gateway = Gateway(spec)
        kept = gateway.waiting_bytes()
        await gateway.close(0.0)
        return kept

    assert asyncio.run(later()) == waiting > 0
