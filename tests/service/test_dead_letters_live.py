"""A note of a patient in quarantine comes back whole: its words are read where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from service.config import Config, KafkaConfig
from service.dead_letters import letters, send_again
from service.outputs import DeadLetter
from streams.codec import decode, encode
from streams.io.kafka_log import LogWriter, Message, Stored
from streams.io.kafka_read import read_places, read_topic
from streams.partition import partition_of
from streams.processor import Fault, Output
from streams.quarantine import quarantine_order
from streams.records import ClinicalEvent
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.service.engine_kit import START_US, S, engine

pytestmark = pytest.mark.broker

WORDS = "Pt febrile, confused; wife at bedside."
NOTE = ClinicalEvent(
    "n", 1, "final", "p", "note", None, "", WORDS, START_US + 20 * S, START_US + 25 * S, "ehr"
)
HOME = partition_of("p", PARTITIONS)


@pytest.fixture
def config(kafka_bootstrap: str, kafka_prefix: str) -> Config:
    return Config(
        kafka=KafkaConfig(bootstrap=kafka_bootstrap, prefix=kafka_prefix, partitions=PARTITIONS)
    )


def write(config: Config, word: str, values: Sequence[bytes]) -> None:
    async def send() -> None:
        topic = topic_name(word, config.kafka.prefix)
        async with LogWriter(config.kafka.bootstrap) as writer:
            for value in values:
                await writer.send_all([Message(topic, HOME, START_US, b"p", value)])

    asyncio.run(send())


def log(config: Config) -> list[Stored]:
    name = topic_name("in", config.kafka.prefix)
    return asyncio.run(read_topic(config.kafka.bootstrap, name))


def fed(rows: Sequence[Stored]) -> list[Output]:
    """What an engine says to a log."""
    records = [decode(row.value, row.partition, row.offset, row.append_us) for row in rows]
    return list(engine(PARTITIONS).feed(records).messages)


def refused(messages: Sequence[Output]) -> list[bytes]:
    return [message.value for message in messages if message.topic == "dlq"]


def test_a_note_comes_back_with_its_words_and_is_taken(config: Config) -> None:
    out = quarantine_order("p", Fault(0, START_US, "ZeroDivisionError"))
    drug = msgspec.structs.replace(NOTE, event_id="d", code="medication", text="Metoprolol 5 mg")
    write(config, "in", [encode(out), encode(NOTE), encode(drug)])
    told = refused(fed(log(config)))
    assert len(told) == 2
    assert all(WORDS.encode() not in letter for letter in told)
    write(config, "dlq", told)
    found = asyncio.run(letters(config, "p", "engine_fault"))
    assert asyncio.run(send_again(config, "p", "kim", found)) == 0
    rows = log(config)
    assert [row.value for row in rows[-2:]] == [encode(NOTE), encode(drug)]
    again = refused(fed(rows))
    assert again == told, "nothing is refused that was not refused before"


def test_words_that_the_log_no_longer_has_are_counted(config: Config) -> None:
    write(config, "in", [encode(NOTE)])
    out = quarantine_order("p", Fault(0, START_US, "ZeroDivisionError"))
    (told,) = refused(
        list(
            engine(PARTITIONS)
            .feed([decode(encode(r), HOME, 40 + i, START_US) for i, r in enumerate((out, NOTE))])
            .messages
        )
    )
    assert msgspec.json.decode(told, type=DeadLetter).offset == 41
    write(config, "dlq", [told])
    found = asyncio.run(letters(config, "p", "engine_fault"))
    assert asyncio.run(send_again(config, "p", "kim", found)) == 1
    assert decode(log(config)[-1].value, HOME, 0, 0).record == msgspec.structs.replace(
        NOTE, text=""
    )


def test_another_record_at_that_place_is_never_put_in_its_stead(config: Config) -> None:
    """A log that was made anew has other records at the same offsets."""
    other = msgspec.structs.replace(NOTE, event_id="other")
    out = quarantine_order("p", Fault(0, START_US, "ZeroDivisionError"))
    write(config, "in", [encode(out), encode(other)])
    rows = [decode(encode(r), HOME, i, START_US) for i, r in enumerate((out, NOTE))]
    write(config, "dlq", refused(list(engine(PARTITIONS).feed(rows).messages)))
    found = asyncio.run(letters(config, "p", "engine_fault"))
    asyncio.run(send_again(config, "p", "kim", found))
    last = decode(log(config)[-1].value, HOME, 0, 0).record
    assert isinstance(last, ClinicalEvent)
    assert (last.event_id, last.text) == ("n", "")


def test_places_that_a_log_does_not_have_are_left_out(config: Config) -> None:
    write(config, "in", [b"one", b"two"])
    topic = topic_name("in", config.kafka.prefix)
    wanted = [(HOME, 1), (HOME, 7), ((HOME + 1) % PARTITIONS, 0)]
    found = asyncio.run(read_places(config.kafka.bootstrap, topic, wanted))
    assert found == {(HOME, 1): b"two"}
