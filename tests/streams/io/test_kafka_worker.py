"""Both workers on a real broker, with real kills."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from streams.codec import decode
from streams.history import HistorySpec, LogEntry
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import lag, read_topic
from streams.processor import Processor
from tests.streams.io.worker_kit import (
    BASE_US,
    PARTITIONS,
    StartWorker,
    chunks,
    drained,
    once_each,
    played,
    published,
    said,
    undisturbed,
)

pytestmark = pytest.mark.broker


@pytest.mark.slow
def test_six_kills_at_random_moments_change_no_output(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_worker: StartWorker,
    toy_processor: Processor,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(7000)))
    stretch = len(log) // 7
    moments = random.Random(7)

    async def killed_at_work(own: list[LogEntry]) -> None:
        """However slow the machine, it is killed while records come, not while it starts."""
        worker = start_worker(kafka_prefix, "one")
        before = await said(kafka_bootstrap, kafka_prefix)
        await played(kafka_bootstrap, kafka_prefix, own[:20])
        until_s = time.monotonic() + 60
        while await said(kafka_bootstrap, kafka_prefix) <= before:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.1)
        feeding = asyncio.create_task(played(kafka_bootstrap, kafka_prefix, own[20:], speed=15.0))
        await asyncio.sleep(moments.random() * 3.0)
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        await feeding

    async def storm() -> None:
        for number in range(6):
            await killed_at_work(log[number * stretch : (number + 1) * stretch])
        start_worker(kafka_prefix, "one")
        await played(kafka_bootstrap, kafka_prefix, log[6 * stretch :])
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(storm())
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    expected = undisturbed(toy_processor, log)
    assert once_each(rows) == expected
    assert len(rows) > sum(len(values) for values in expected.values())  # work was repeated


@pytest.mark.slow
def test_a_second_worker_that_comes_and_goes_changes_no_output(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_worker: StartWorker,
    toy_processor: Processor,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(4000)))

    async def shared() -> None:
        start_worker(kafka_prefix, "one")
        feeding = asyncio.create_task(played(kafka_bootstrap, kafka_prefix, log, speed=15.0))
        await asyncio.sleep(4)
        second = start_worker(kafka_prefix, "two")
        await asyncio.sleep(7)
        second.send_signal(signal.SIGKILL)  # the first takes over after the session timeout
        second.wait(10)
        await feeding
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(shared())
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


@pytest.mark.slow
def test_a_worker_that_sleeps_past_its_session_and_wakes_changes_no_output(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_worker: StartWorker,
    toy_processor: Processor,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(6000)))

    async def zombie() -> None:
        first = start_worker(kafka_prefix, "one")
        start_worker(kafka_prefix, "two")
        feeding = asyncio.create_task(played(kafka_bootstrap, kafka_prefix, log, speed=12.0))
        await asyncio.sleep(9)  # both process by now
        first.send_signal(signal.SIGSTOP)
        await asyncio.sleep(13)  # its session ends after 10 s, the second takes over
        first.send_signal(signal.SIGCONT)
        await asyncio.sleep(4)
        if first.poll() is not None:  # refused by the group, it may end itself
            assert first.returncode == 70
            start_worker(kafka_prefix, "one")
        await feeding
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(zombie())
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


@pytest.mark.parametrize("count", [5, 100_000])
def test_records_that_faust_skips_are_asked_for_again(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_toy_worker: StartWorker,
    toy_processor: Processor,
    tmp_path: Path,
    count: int,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(2000)))

    async def flow() -> None:
        start_toy_worker(kafka_prefix, "one", "--skip", str(count))
        await played(kafka_bootstrap, kafka_prefix, log, speed=12.0)
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(flow())
    assert "asking again" in (tmp_path / "one-0.log").read_text()
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


def test_records_that_faust_skips_before_anything_is_committed_are_asked_for_again(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_toy_worker: StartWorker,
    toy_processor: Processor,
    tmp_path: Path,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(2000)))

    async def heard(count: int) -> None:
        until_s = time.monotonic() + 60
        while await said(kafka_bootstrap, kafka_prefix) < count:
            assert time.monotonic() < until_s
            await asyncio.sleep(0.2)

    async def flow() -> None:
        start_toy_worker(kafka_prefix, "one", "--skip", "5", "--checkpoint-s", "600")
        await played(kafka_bootstrap, kafka_prefix, log[:20])
        await heard(1)  # two seconds later it skips
        await played(kafka_bootstrap, kafka_prefix, log[20:], speed=12.0)
        await heard(2000)

    asyncio.run(flow())
    assert "asking again" in (tmp_path / "one-0.log").read_text()
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


def test_sigterm_drains_within_five_seconds_and_leaves_nothing_to_repeat(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    log = list(HistorySpec(PARTITIONS, tick_us=0).build(chunks(500)))

    async def flow() -> float:
        worker = start_worker(kafka_prefix, "one", "--checkpoint-s", "600")
        await played(kafka_bootstrap, kafka_prefix, log)
        until_s = time.monotonic() + 30
        while len(await read_topic(kafka_bootstrap, f"{kafka_prefix}.features.v1")) < 500:
            assert time.monotonic() < until_s
        began_s = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0
        return time.monotonic() - began_s

    assert asyncio.run(flow()) < 5.0
    assert asyncio.run(lag(kafka_bootstrap, kafka_prefix, f"{kafka_prefix}.in.v1")) == 0


def test_alerts_that_a_killed_worker_published_are_not_sent_again(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    log = list(HistorySpec(PARTITIONS, tick_us=0).build(chunks(500)))

    async def flow() -> None:
        worker = start_worker(kafka_prefix, "one", "--checkpoint-s", "600")
        await played(kafka_bootstrap, kafka_prefix, log)
        until_s = time.monotonic() + 30
        while len(await read_topic(kafka_bootstrap, f"{kafka_prefix}.features.v1")) < 500:
            assert time.monotonic() < until_s
        worker.send_signal(signal.SIGKILL)  # everything is published, nothing is committed
        worker.wait(10)
        start_worker(kafka_prefix, "one")
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(flow())
    repeated = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert len(repeated) == 1000
    alerts = asyncio.run(read_topic(kafka_bootstrap, f"{kafka_prefix}.alerts.v1"))
    ids = sorted(row.header("ce_id") or b"" for row in alerts)
    assert len(ids) > 30
    assert len(ids) == len(set(ids))


def test_poison_bytes_reach_the_dead_letters_and_neighbours_live(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    poison = [b"", b"\xff\xfe", b"\x00" * 1000, b"{}", bytes(range(256))]
    log = list(HistorySpec(PARTITIONS).build(chunks(26)))

    async def flow() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            await writer.send_all(
                [Message(f"{kafka_prefix}.in.v1", 3, BASE_US, None, value) for value in poison]
            )
        await played(kafka_bootstrap, kafka_prefix, log)
        start_worker(kafka_prefix, "one")
        await drained(kafka_bootstrap, kafka_prefix)

    asyncio.run(flow())
    refused = asyncio.run(read_topic(kafka_bootstrap, f"{kafka_prefix}.dlq.v1"))
    assert [row.value for row in refused] == poison
    assert {row.header("vigil-reason") for row in refused} <= {b"undecodable", b"unknown_version"}
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert len(rows) == 26


def test_a_live_worker_writes_ticks_to_every_partition_it_owns(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    start_worker(kafka_prefix, "one", "--ticks", "wall", "--tick-s", "0.2")
    until_s = time.monotonic() + 30
    ticked: set[int] = set()
    while ticked != set(range(PARTITIONS)):
        assert time.monotonic() < until_s, f"ticks only on {sorted(ticked)}"
        rows = asyncio.run(read_topic(kafka_bootstrap, f"{kafka_prefix}.in.v1"))
        ticked = {row.partition for row in rows}
    row = decode(rows[0].value, rows[0].partition, rows[0].offset, rows[0].append_us)
    assert row.record is not None
    assert row.record.now_us == row.append_us


def test_a_worker_without_topics_says_so_and_stops(
    kafka_bootstrap: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker("no-such-prefix", "one")
    assert worker.wait(30) == 2
    said = (tmp_path / "one-0.log").read_text()
    assert "no-such-prefix.in.v1 does not exist (run vigil init)" in said


def test_a_worker_without_a_broker_says_so_and_stops(
    kafka_bootstrap: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker("any", "one", bootstrap="127.0.0.1:1")
    assert worker.wait(30) == 2
    assert "Kafka at 127.0.0.1:1 does not answer" in (tmp_path / "one-0.log").read_text()
