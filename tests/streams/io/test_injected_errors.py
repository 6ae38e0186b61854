"""Errors a broker answers with, injected on a real socket: nothing missing, order kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from tests.mock_broker import MockBroker

TOPIC, PARTITIONS = "injected", 4
AUTHORIZATION, TIMED_OUT, NOT_ENOUGH_REPLICAS = 29, 7, 19
NOT_LEADER, INVALID_RECORD = 6, 87


@pytest.fixture
def broker() -> Iterator[MockBroker]:
    with MockBroker() as found:
        found.topic(TOPIC, PARTITIONS)
        yield found


def messages(count: int) -> list[Message]:
    return [Message(TOPIC, i % PARTITIONS, 1_000 * i, b"k", b"%d" % i) for i in range(count)]


def written(broker: MockBroker) -> dict[int, list[int]]:
    rows = asyncio.run(read_topic(broker.bootstrap, TOPIC))
    found: dict[int, list[int]] = {}
    for row in rows:
        found.setdefault(row.partition, []).append(int(row.value))
    return {partition: list(dict.fromkeys(values)) for partition, values in found.items()}


def expected(count: int) -> dict[int, list[int]]:
    return {p: list(range(p, count, PARTITIONS)) for p in range(PARTITIONS)}


@pytest.mark.parametrize("code", [TIMED_OUT, NOT_LEADER, NOT_ENOUGH_REPLICAS])
@pytest.mark.parametrize("times", [1, 6])
def test_trouble_that_passes_costs_no_record(broker: MockBroker, code: int, times: int) -> None:
    async def play() -> None:
        async with LogWriter(broker.bootstrap) as writer:
            await writer.send_all(messages(40)[:20])
            broker.fail([code] * times)
            await asyncio.wait_for(writer.send_all(messages(40)[20:]), 60)

    asyncio.run(play())
    assert written(broker) == expected(40)


@pytest.mark.slow
@pytest.mark.parametrize("code", [AUTHORIZATION, INVALID_RECORD])
def test_an_error_the_client_takes_for_final_is_tried_again_all_the_same(
    broker: MockBroker, code: int
) -> None:
    async def play() -> None:
        async with LogWriter(broker.bootstrap) as writer:
            await writer.send_all(messages(40)[:20])
            broker.fail([code] * 3)
            await asyncio.wait_for(writer.send_all(messages(40)[20:]), 60)

    asyncio.run(play())
    assert written(broker) == expected(40)


def test_a_broker_that_answers_after_half_a_second_gets_everything_in_order(
    broker: MockBroker,
) -> None:
    broker.slow(500)

    async def play() -> float:
        async with LogWriter(broker.bootstrap) as writer:
            began_s = time.monotonic()
            for at in range(0, 200, 50):
                await writer.send_all(messages(200)[at : at + 50])
            return time.monotonic() - began_s

    assert asyncio.run(play()) > 2.0
    broker.slow(0)
    assert written(broker) == expected(200)
