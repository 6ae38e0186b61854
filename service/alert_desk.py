"""Answering alerts from outside: read their state, put commands on the log, wait for the answer.

The state is the compacted `alert-state` topic; a command is a record of the patient's log, and the
engine's answer is an event that names it, or a dead letter with the reason. Not here: what a
command does (`alerts.commands`, `alerts.requests`).
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import PRIORITY_RANK, AlertEvent, AlertRecord, Resolution
from service.alert_wish import Wish
from service.config import Config
from service.keys import load_ring
from service.outputs import DeadLetter
from streams.codec import admit, decode, encode
from streams.errors import ConfigError
from streams.io.kafka_log import LogWriter, Message, Stored
from streams.io.kafka_read import LogReader, read_topic
from streams.partition import partition_of
from streams.records import ANYONE, CANARY, AlertCommand
from streams.topics import topic_name

_STATE = msgspec.json.Decoder(AlertRecord)
_EVENT = msgspec.json.Decoder(AlertEvent)
_LETTER = msgspec.json.Decoder(DeadLetter)
MIN_PREFIX = 4  # characters of an occurrence id that are enough, if no other begins so


class Answer(NamedTuple):
    """What became of a command: `refused` says why not; both None: no answer in time."""

    event: AlertEvent | None = None
    refused: str | None = None


def open_alerts(config: Config, *, closed: bool = False) -> list[AlertRecord]:
    """Every alert that is open, the most urgent first, then the oldest; not the canary's.

    Parameters
    ----------
    config : Config
        Which broker and prefix.
    closed : bool
        Also those that are over.

    Raises
    ------
    BrokerError
        If Kafka does not answer or the topic does not exist.
    """
    name = topic_name("alert-state", config.kafka.prefix)
    rows = asyncio.run(read_topic(config.kafka.broker, name))
    last = {row.key: row.value for row in rows}
    found = [record for value in last.values() if (record := _state(value)) is not None]
    people = [record for record in found if record.subject != CANARY]
    kept = [r for r in people if closed or r.state.resolution is Resolution.OPEN]
    return sorted(kept, key=lambda r: (-PRIORITY_RANK[r.priority], r.raised_us, r.occurrence_id))


def published(config: Config) -> list[AlertEvent]:
    """Every step of every alert that the topic still has, in the order of its partitions.

    Raises
    ------
    BrokerError
        If Kafka does not answer or the topic does not exist.
    """
    name = topic_name("alerts", config.kafka.prefix)
    rows = asyncio.run(read_topic(config.kafka.broker, name))
    return [event for row in rows if (event := _event(row.value)) is not None]


def pick(records: Sequence[AlertRecord], name: str) -> AlertRecord:
    """The one alert whose id is `name`, or begins with it.

    Raises
    ------
    ConfigError
        If there is none, or more than one; it says which.
    """
    exact = [record for record in records if record.occurrence_id == name]
    near = [record for record in records if record.occurrence_id.startswith(name)]
    found = exact or (near if len(name) >= MIN_PREFIX else [])
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"no alert {name[:64]!r}: see vigil alert list --all")
    ids = ", ".join(record.occurrence_id for record in found[:4])
    raise ConfigError(f"{len(found)} alerts begin with {name!r}: {ids}")


def command_of(wish: Wish, now_us: int) -> AlertCommand:
    """A wish as a command with an id of its own."""
    return AlertCommand(
        command_id=str(uuid.uuid4()),
        patient_id=wish.patient_id,
        occurrence_id=wish.target,
        action=wish.action,
        actor=wish.by,
        role=wish.role,
        reason=wish.reason,
        expected_seq=wish.expected_seq,
        until_us=wish.until_us,
        event_time_us=now_us,
    )


def send(config: Config, command: AlertCommand, wait_s: float) -> Answer:
    """Put a command on the log and wait for what becomes of it.

    Parameters
    ----------
    config : Config
        Which broker and prefix.
    command : AlertCommand
        Of one patient, or of `ANYONE`: then every partition gets it.
    wait_s : float
        How long to wait for the engine; 0 does not.

    Raises
    ------
    ConfigError
        If it is no command that may stand on a log: an id is too long, say.
    BrokerError
        If Kafka does not answer.
    """
    for fault in admit(command, 0, 0, command.event_time_us).rejected:
        raise ConfigError(f"{command.action}: {fault.detail or fault.reason}")
    sent = load_ring(config, "command").sign(command)
    return asyncio.run(_send(config, sent, wait_s))


async def _send(config: Config, command: AlertCommand, wait_s: float) -> Answer:
    kafka = config.kafka
    topics = [topic_name(name, kafka.prefix) for name in ("alerts", "dlq")]
    async with LogReader(kafka.broker, topics, "latest") as reader:
        await _write(config, command)
        if wait_s <= 0:
            return Answer()
        try:
            return await asyncio.wait_for(_answer(reader, command), wait_s)
        except TimeoutError:
            return Answer()


async def _write(config: Config, command: AlertCommand) -> None:
    """Write a command to its patient's partition, or to all of them."""
    async with LogWriter(config.kafka.broker) as writer:
        await writer.send_all(messages(config, command, time.time_ns() // 1000))


def messages(config: Config, command: AlertCommand, now_us: int) -> list[Message]:
    """A command for the log: its patient's partition, or every one if it is for `ANYONE`."""
    kafka, value = config.kafka, encode(command)
    topic, key = topic_name("in", kafka.prefix), command.patient_id.encode()
    own = (partition_of(command.patient_id, kafka.partitions),)
    where = range(kafka.partitions) if command.patient_id == ANYONE else own
    return [Message(topic, partition, now_us, key, value) for partition in where]


async def _answer(reader: LogReader, command: AlertCommand) -> Answer:
    """The first event or dead letter that is about a command."""
    async for row in reader:
        answer = answer_in(row, command)
        if answer is not None:
            return answer
    return Answer()


def answer_in(row: Stored, command: AlertCommand) -> Answer | None:
    """What one record of the alert or dead-letter topic says about a command, if anything."""
    if ".dlq." in row.topic:
        return _refusal(row, command)
    event = _event(row.value)
    if event is None:
        return None
    named = any(action.command_id == command.command_id for action in event.actions[-1:])
    return Answer(event=event) if named or event.suppressed_by == command.command_id else None


def _refusal(row: Stored, command: AlertCommand) -> Answer | None:
    """The refusal in a dead letter, if it is this command's."""
    try:
        letter = _LETTER.decode(row.value)
        original = base64.b64decode(letter.original)
    except (ValueError, RecursionError):
        return None
    record = decode(original, letter.partition, letter.offset, row.append_us).record
    mine = isinstance(record, AlertCommand) and record.command_id == command.command_id
    return Answer(refused=letter.detail or letter.reason) if mine else None


def _event(value: bytes) -> AlertEvent | None:
    """A step of an alert; None for what is none."""
    try:
        return _EVENT.decode(value)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _state(value: bytes) -> AlertRecord | None:
    """A record of the state topic; None for a tombstone or what is not ours."""
    try:
        return _STATE.decode(value)
    except (ValueError, RecursionError):
        return None
