"""Topics on a real broker: made once, verified ever after."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import BrokerError, ConfigError
from streams.io.kafka_admin import check_topics, create_topics, delete_topics, describe
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import Span, lag, read_topic
from streams.topics import TOPICS


@pytest.mark.broker
def test_creating_topics_twice_changes_nothing(kafka_bootstrap: str, kafka_prefix: str) -> None:
    before = describe(kafka_bootstrap, kafka_prefix)
    assert create_topics(kafka_bootstrap, kafka_prefix, 8, recorded_time=True) == []
    assert describe(kafka_bootstrap, kafka_prefix) == before
    assert [state.partitions for state in before] == [8] * len(TOPICS)


@pytest.mark.broker
def test_another_partition_count_is_refused_with_both_numbers(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    with pytest.raises(ConfigError, match=r"has 8 partitions, not 16"):
        create_topics(kafka_bootstrap, kafka_prefix, 16, recorded_time=True)


@pytest.mark.broker
def test_topics_that_delete_by_age_are_refused_for_recorded_history(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    live = f"{kafka_prefix}-live"
    create_topics(kafka_bootstrap, live, 2)
    try:
        assert check_topics(kafka_bootstrap, live) == []
        faults = check_topics(kafka_bootstrap, live, recorded_time=True)
        assert "retention.ms=86400000" in faults[0]
    finally:
        delete_topics(kafka_bootstrap, live)


@pytest.mark.broker
def test_missing_topics_are_named(kafka_bootstrap: str) -> None:
    faults = check_topics(kafka_bootstrap, "nobody")
    assert faults[0] == "topic nobody.in.v1 does not exist (run vigil init)"
    assert delete_topics(kafka_bootstrap, "nobody") == []


@pytest.mark.broker
def test_append_time_comes_back_to_the_microsecond(kafka_bootstrap: str, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}.in.v1"
    times = [0, 1, 1_234_567, 1_500_000_000_123_456, -5]
    sent = [Message(topic, 5, at_us, b"p", b"v", (("a", b"b"),)) for at_us in times]

    async def write() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            await writer.send_all(sent)

    asyncio.run(write())
    read = asyncio.run(read_topic(kafka_bootstrap, topic))
    assert [row.append_us for row in read] == times
    assert {row.partition for row in read} == {5}
    assert asyncio.run(lag(kafka_bootstrap, "nobody", topic)) == len(times)


@pytest.mark.broker
def test_a_state_of_six_megabytes_is_stored_whole(kafka_bootstrap: str, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}.state.v1"
    big = bytes(range(256)) * 24_576

    async def write() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            await writer.send_all([Message(topic, 0, 0, b"p", big)])

    asyncio.run(write())
    assert [row.value for row in asyncio.run(read_topic(kafka_bootstrap, topic))] == [big]


@pytest.mark.broker
def test_records_beyond_a_batch_keep_their_order_and_their_offsets(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    topic = f"{kafka_prefix}.state.v1"
    sent = [Message(topic, n % 2, n, b"%d" % n, bytes(300_000)) for n in range(12)]

    async def write() -> list[int]:
        async with LogWriter(kafka_bootstrap) as writer:
            return await writer.send_all(sent)

    offsets = asyncio.run(write())
    read = asyncio.run(read_topic(kafka_bootstrap, topic))
    where = {(row.partition, row.offset): row.key for row in read}
    assert [where[n % 2, offset] for n, offset in enumerate(offsets)] == [row.key for row in sent]
    assert offsets == [n // 2 for n in range(12)]


@pytest.mark.broker
def test_what_comes_before_a_record_that_can_never_be_written_is_written(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    topic = f"{kafka_prefix}.in.v1"
    small, big = Message(topic, 0, 0, b"p", b"x"), Message(topic, 1, 0, b"p", bytes(9 * 2**20))

    async def write() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            await writer.send_all([small, big, small])

    with pytest.raises(BrokerError, match="can never be written"):
        asyncio.run(write())
    assert [row.value for row in asyncio.run(read_topic(kafka_bootstrap, topic))] == [b"x"]


@pytest.mark.broker
def test_a_record_that_can_never_be_written_is_an_error_not_a_loop(
    kafka_bootstrap: str, kafka_prefix: str
) -> None:
    async def write() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            await writer.send_all(
                [Message(f"{kafka_prefix}.in.v1", 0, 0, None, bytes(9 * 1024 * 1024))]
            )

    with pytest.raises(BrokerError, match="can never be written"):
        asyncio.run(write())


def test_every_call_says_in_one_line_that_the_broker_is_away() -> None:
    for attempt in (
        lambda: create_topics("127.0.0.1:1"),
        lambda: asyncio.run(read_topic("127.0.0.1:1", "vigil.in.v1")),
        lambda: asyncio.run(LogWriter("127.0.0.1:1").start()),
    ):
        with pytest.raises(BrokerError, match="does not answer") as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert "make services-up" in str(caught.value)


@pytest.mark.parametrize("address", ["", "localhost", "localhost:kafka", "h:99999", ":9092"])
def test_an_address_that_is_none_is_refused_before_anything_is_tried(address: str) -> None:
    with pytest.raises(ConfigError, match="must be host:port"):
        create_topics(address)


@pytest.mark.parametrize("span", [Span(5, 9, 4), Span(0, 3, 7)])
def test_a_committed_offset_outside_the_log_stops_loudly(span: Span) -> None:
    with pytest.raises(BrokerError, match="outside the log") as caught:
        span.checked("vigil.in.v1", 3)
    assert not caught.value.retriable


def test_a_group_that_never_committed_starts_where_the_log_does() -> None:
    assert Span(5, 9, None).checked("vigil.in.v1", 3) == 5
