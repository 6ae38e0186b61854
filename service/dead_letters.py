"""Dead letters for people: what was refused, of whom, and bringing it back onto the log."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from service.config import Config
from service.keys import load_ring
from service.outputs import DeadLetter
from service.withheld import may_lack_words, without_notes
from streams.codec import decode, encode
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_places, read_topic
from streams.partition import partition_of
from streams.quarantine import named_in, release_order
from streams.topics import topic_name

_LETTER = msgspec.json.Decoder(DeadLetter)
_PREVIEW = 60  # bytes of what cannot be decoded


class Letter(NamedTuple):
    """A refusal, and the patients that its bytes name."""

    letter: DeadLetter
    patients: frozenset[str]

    @property
    def place(self) -> str:
        """Partition and offset of the record."""
        return f"{self.letter.partition}:{self.letter.offset}"

    @property
    def original(self) -> bytes:
        """The refused bytes."""
        return base64.b64decode(self.letter.original)

    def shown(self) -> dict[str, Any]:
        """Everything but the bytes, and what they say as far as they can be decoded."""
        row = decode(self.original, self.letter.partition, self.letter.offset, 0)
        told = {"reason": self.letter.reason, "detail": self.letter.detail, "place": self.place}
        if row.record is None:
            return told | {"index": self.letter.index, "bytes": self.original[:_PREVIEW].hex()}
        kind = type(row.record).__name__
        return told | {"index": self.letter.index, "kind": kind, "patients": sorted(self.patients)}

    def words(self) -> str:
        """`shown` as one line."""
        return "  ".join(f"{name} {value}" for name, value in self.shown().items())


class Tally(NamedTuple):
    """How often a reason was given, and the place it was given last."""

    reason: str
    n: int
    newest: str


async def letters(config: Config, patient: str = "", reason: str = "") -> list[Letter]:
    """Dead letters that the topic still has, by partition and offset.

    Raises
    ------
    BrokerError
        If Kafka does not answer or the topic does not exist.
    """
    rows = await read_topic(config.kafka.broker, topic_name("dlq", config.kafka.prefix))
    found = (made for row in rows if (made := letter_of(row.value)) is not None)
    kept = [
        one
        for one in dict.fromkeys(found)  # a crash may have written one twice
        if (not patient or patient in one.patients) and reason in ("", one.letter.reason)
    ]
    return sorted(kept, key=lambda one: _order(one.letter))


def letter_of(value: bytes) -> Letter | None:
    """A dead letter from its message; None for what is none.

    Examples
    --------
    >>> letter_of(b"nonsense") is None
    True
    """
    try:
        letter = _LETTER.decode(value)
        original = base64.b64decode(letter.original)
    except ValueError:
        return None
    row = decode(original, letter.partition, letter.offset, 0)
    return Letter(letter, frozenset(name for _, name in named_in([row])))


def summary(found: Iterable[Letter]) -> list[Tally]:
    """Reasons, the most frequent first."""
    by_reason: dict[str, list[Letter]] = {}
    for one in found:
        by_reason.setdefault(one.letter.reason, []).append(one)
    made = [Tally(reason, len(own), own[-1].place) for reason, own in by_reason.items()]
    return sorted(made, key=lambda tally: (-tally.n, tally.reason))


async def send_again(config: Config, patient: str, by: str, found: Sequence[Letter]) -> int:
    """End a patient's quarantine, and append what was refused once more, in its order.

    A letter does not hold the words of a note: they are read where the record stands.

    Returns
    -------
    int
        How many records lack their words, because the input topic no longer has them.

    Raises
    ------
    ConfigError
        If commands are signed and this process has no key for them.
    BrokerError
        If Kafka does not answer.
    """
    number = partition_of(patient, config.kafka.partitions)
    now_us = time.time_ns() // 1000
    order = load_ring(config, "command").sign(release_order(patient, by, now_us))
    topic = topic_name("in", config.kafka.prefix)
    originals, lost = await _whole(config.kafka.broker, topic, found)
    values = [encode(order), *originals]
    async with LogWriter(config.kafka.broker) as writer:
        for value in values:  # one by one: their order is their meaning
            await writer.send_all([Message(topic, number, now_us, patient.encode(), value)])
    return lost


async def _whole(bootstrap: str, topic: str, found: Sequence[Letter]) -> tuple[list[bytes], int]:
    """The refused bytes with the words that their letters leave out, and how many lack them."""
    places = {
        (one.letter.partition, one.letter.offset) for one in found if may_lack_words(one.original)
    }
    there = await read_places(bootstrap, topic, places) if places else {}
    values, lost = list[bytes](), 0
    for one in found:
        place = one.letter.partition, one.letter.offset
        record = there.get(place)
        if record is not None and without_notes(record) == one.original:
            values.append(record)
            continue
        lost += place in places and record is None
        values.append(one.original)
    return values, lost


def _order(letter: DeadLetter) -> tuple[int, int, int]:
    return letter.partition, letter.offset, letter.index
