"""Both workers on a real broker, stopped for good and stopped to come back."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.history import HistorySpec
from streams.io.kafka_admin import admin_client, take_out
from streams.processor import Processor
from tests.streams.io.worker_kit import (
    PARTITIONS,
    StartWorker,
    chunks,
    drained,
    once_each,
    played,
    published,
    undisturbed,
)

pytestmark = pytest.mark.broker

Holdings = dict[str, frozenset[int]]
ALL = frozenset(range(PARTITIONS))


def holdings(bootstrap: str, group: str) -> Holdings:
    """The partitions of each named member of a group, as the broker has it."""
    with admin_client(bootstrap) as admin:
        members = admin.describe_groups([group])[group]["members"]
    return {
        member["group_instance_id"]: frozenset(
            number
            for topic in (member["member_assignment"] or {"assigned_partitions": []})[
                "assigned_partitions"
            ]
            for number in topic["partitions"]
        )
        for member in members
    }


async def until(
    good: Callable[[Holdings], bool], bootstrap: str, group: str, limit_s: float
) -> Holdings:
    """What members hold once that is good."""
    deadline_s = time.monotonic() + limit_s
    while not good(held := holdings(bootstrap, group)):
        assert time.monotonic() < deadline_s, held
        await asyncio.sleep(0.1)
    return held


def is_shared(held: Holdings) -> bool:
    """Whether two members share all partitions."""
    return len(held) == 2 and all(held.values()) and frozenset().union(*held.values()) == ALL


def test_who_is_stopped_for_good_is_followed_at_once_and_nothing_is_lost(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_worker: StartWorker,
    toy_processor: Processor,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(4000)))

    async def flow() -> float:
        first = start_worker(kafka_prefix, "one")
        start_worker(kafka_prefix, "two")
        await until(is_shared, kafka_bootstrap, kafka_prefix, 40)
        feeding = asyncio.create_task(played(kafka_bootstrap, kafka_prefix, log, speed=20.0))
        await asyncio.sleep(4)
        began_s = time.monotonic()
        first.send_signal(signal.SIGTERM)
        await until(lambda held: held == {"two": ALL}, kafka_bootstrap, kafka_prefix, 30)
        took_s = time.monotonic() - began_s
        assert first.wait(10) == 0
        await feeding
        await drained(kafka_bootstrap, kafka_prefix)
        return took_s

    assert asyncio.run(flow()) < 5.0  # the session alone is ten
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


def test_who_is_stopped_to_come_back_finds_its_place_and_the_others_notice_nothing(
    kafka_bootstrap: str,
    kafka_prefix: str,
    start_worker: StartWorker,
    toy_processor: Processor,
    tmp_path: Path,
) -> None:
    log = list(HistorySpec(PARTITIONS).build(chunks(4000)))

    async def flow() -> None:
        start_worker(kafka_prefix, "two")
        first = start_worker(kafka_prefix, "one")
        before = await until(is_shared, kafka_bootstrap, kafka_prefix, 40)
        feeding = asyncio.create_task(played(kafka_bootstrap, kafka_prefix, log, speed=20.0))
        await asyncio.sleep(3)
        restored = (tmp_path / "two-0.log").read_text().count("restored")
        first.send_signal(signal.SIGHUP)
        assert first.wait(10) == 0
        assert holdings(kafka_bootstrap, kafka_prefix) == before
        start_worker(kafka_prefix, "one")
        await feeding
        await drained(kafka_bootstrap, kafka_prefix)
        assert holdings(kafka_bootstrap, kafka_prefix) == before
        assert (tmp_path / "two-0.log").read_text().count("restored") == restored

    asyncio.run(flow())
    rows = asyncio.run(published(kafka_bootstrap, kafka_prefix))
    assert once_each(rows) == undisturbed(toy_processor, log)


def test_who_would_keep_its_place_keeps_it_after_sigterm_too(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    async def flow() -> None:
        first = start_worker(kafka_prefix, "one", "--keep-place")
        await until(lambda held: held == {"one": ALL}, kafka_bootstrap, kafka_prefix, 30)
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
        assert holdings(kafka_bootstrap, kafka_prefix) == {"one": ALL}

    asyncio.run(flow())


def test_who_came_under_the_same_name_since_stays(
    kafka_bootstrap: str, kafka_prefix: str, start_worker: StartWorker
) -> None:
    async def flow() -> None:
        start_worker(kafka_prefix, "one")
        await until(lambda held: held == {"one": ALL}, kafka_bootstrap, kafka_prefix, 30)
        take_out(kafka_bootstrap, kafka_prefix, "one-00000000-0000-4000-8000-000000000000")
        assert holdings(kafka_bootstrap, kafka_prefix) == {"one": ALL}

    asyncio.run(flow())
