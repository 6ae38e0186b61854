"""A broker that goes away and comes back, its own so that no other test notices."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.codec import decode
from streams.history import HistorySpec, LogEntry
from streams.io.ingest import ingest
from streams.io.kafka_admin import create_topics
from streams.io.kafka_log import LogWriter
from streams.io.kafka_read import lag, read_topic
from streams.processor import Processor
from streams.records import Chunk

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 4
Service = Callable[[str], None]


@pytest.fixture
def own_broker(kafka_bootstrap: str, tmp_path: Path) -> Iterator[tuple[str, Service]]:
    """A broker on ports of its own: its address, and `deploy/services` for it."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        port, controller = first.getsockname()[1], second.getsockname()[1]
    environment = os.environ | {
        "VIGIL_KAFKA_PORT": str(port),
        "VIGIL_KAFKA_CONTROLLER_PORT": str(controller),
        "VIGIL_SERVICES_STATE": str(tmp_path / "services"),
        "VIGIL_SERVICES_MODE": "native",
    }

    def service(action: str) -> None:
        command = [sys.executable, str(ROOT / "deploy" / "services"), action, "kafka"]
        subprocess.run(command, env=environment, check=True, timeout=120, capture_output=True)

    service("up")
    yield f"127.0.0.1:{port}", service
    service("down")


def log_of(count: int) -> list[LogEntry]:
    def rows() -> Iterator[tuple[int, Chunk]]:
        for index in range(count):
            at_us = 1_500_000_000_000_000 + index * 50_000
            data = index.to_bytes(4, "little") * 5
            chunk = Chunk(
                f"p{index % 7}", "d", "ecg", index, index * 10, at_us, 200.0, "mV", 1, 0, 0, data
            )
            yield at_us, chunk

    return list(HistorySpec(PARTITIONS).build(rows()))


def test_a_broker_restart_loses_nothing_and_needs_nobody(
    own_broker: tuple[str, Service],
    start_toy_worker: Callable[..., subprocess.Popen[bytes]],
    toy_processor: Processor,
) -> None:
    bootstrap, service = own_broker
    create_topics(bootstrap, "away", PARTITIONS, recorded_time=True)
    worker = start_toy_worker("away", "one", bootstrap=bootstrap)

    async def flow() -> None:
        async with LogWriter(bootstrap) as writer:
            feeding = asyncio.create_task(ingest(log_of(3000), writer, prefix="away", speed=10.0))
            await asyncio.sleep(6)
            await asyncio.to_thread(service, "down")
            await asyncio.sleep(8)
            await asyncio.to_thread(service, "up")
            await asyncio.wait_for(feeding, 90)
        for _ in range(300):
            if await lag(bootstrap, "away", "away.in.v1") == 0:
                return
            await asyncio.sleep(0.2)
        raise AssertionError("the worker did not go on after the broker came back")

    asyncio.run(flow())
    assert worker.poll() is None
    # A writer that heard nothing writes again: the input itself may hold doubles, so one pass
    # over what the broker really has is the measure.
    read = asyncio.run(read_topic(bootstrap, "away.in.v1"))
    one_pass = toy_processor.feed(
        [decode(row.value, row.partition, row.offset, row.append_us) for row in read]
    )
    rows = asyncio.run(read_topic(bootstrap, "away.features.v1"))
    features = {output.value for output in one_pass.messages if output.topic == "features"}
    assert {row.value for row in rows} == features
    written = {
        chunk.seq
        for row in read
        for chunk in getattr(
            decode(row.value, row.partition, row.offset, row.append_us).record, "chunks", ()
        )
    }
    assert written == set(range(3000))  # and nothing that was to be written is missing
