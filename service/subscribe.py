"""`vigil subscribe`: output topics on stdout, one line each; from any position or as a group."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import typer

from alerts.alert import AlertEvent
from alerts.envelope import cloud_event_json
from service.cli.common import plain
from service.config import Config
from service.deliver_host import Receipts
from service.selection import Selection
from streams.errors import ConfigError
from streams.io.kafka_follow import Follower, Start
from streams.io.kafka_log import LogWriter, Stored
from streams.io.kafka_read import read_topic
from streams.io.kafka_tracked import Place, TrackedConsumer
from streams.topics import topic_name

_ALERT = msgspec.json.Decoder(AlertEvent)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 6  # values of a feature row in its line; --json has them all
_OFFSETS: Final = re.compile(r"\d{1,4}:\d{1,18}(,\d{1,4}:\d{1,18})*")

log = logging.getLogger(__name__)


class _Score(msgspec.Struct):
    patient_id: str
    end_us: int
    scorer: str
    value: float | None
    lower: float | None
    upper: float | None


class _Feature(msgspec.Struct):
    patient_id: str
    end_us: int
    window: str
    values: dict[str, Any]


_SCORE = msgspec.json.Decoder(_Score)
_FEATURE = msgspec.json.Decoder(_Feature)


class Wish(NamedTuple):
    """What to listen to, from where, and how to show it.

    `group` commits what was shown; `confirm` names a consumer that receipts are written for.
    """

    topic: str
    start: Start
    once: bool = False
    as_json: bool = False
    wanted: Selection = Selection()
    group: str = ""
    confirm: str = ""

    def shows(self, row: Stored) -> AlertEvent | None:
        """Print a message that is wanted; the alert event if it was one.

        One that is not ours is told by its place, and the next ones go on.
        """
        try:
            event = _ALERT.decode(row.value) if self.topic == "alerts" else None
            if event is not None and not self.wanted.wants(event):
                return None
            line = line_of(self.topic, row.value, self.as_json)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            log.warning(
                "%s partition %d offset %d: not a record of this topic",
                row.topic,
                row.partition,
                row.offset,
            )
            return None
        typer.echo(line)
        return event


def position(text: str) -> Start:
    """Where to start, from words.

    Parameters
    ----------
    text : str
        earliest, latest, a time as ISO 8601 (UTC unless it says otherwise) or P:OFFSET[,...].

    Raises
    ------
    ConfigError
        If it is none of these.

    Examples
    --------
    >>> position("2020-01-01T00:00:00Z"), position("0:17,3:5")
    (1577836800000000, {0: 17, 3: 5})
    """
    if text in ("earliest", "latest"):
        return text
    if _OFFSETS.fullmatch(text):
        pairs = (pair.split(":") for pair in text.split(","))
        return {int(partition): int(offset) for partition, offset in pairs}
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--from {text!r}: must be earliest, latest, a time (2026-01-31T08:00Z) or "
            "offsets (PARTITION:OFFSET,...)"
        ) from error


def follow(config: Config, wish: Wish) -> int:
    """Print messages until interrupted, or to the present end with `once`; returns 0.

    Parameters
    ----------
    config : Config
        Which broker and prefix.
    wish : Wish
        What, from where, how. In a group `start` is only where a new group begins.

    Raises
    ------
    BrokerError
        If Kafka does not answer or the topic does not exist.
    """
    name, bootstrap = topic_name(wish.topic, config.kafka.prefix), config.kafka.broker
    if wish.group:
        asyncio.run(_as_group(config, wish, name))
    elif not wish.once:
        asyncio.run(_follow(config, wish, name))
    elif wish.start == "earliest":
        rows = asyncio.run(read_topic(bootstrap, name))
        for row in sorted(rows, key=_in_time):
            wish.shows(row)
    elif wish.start != "latest":
        for row in sorted(asyncio.run(_until_now(bootstrap, name, wish.start)), key=_in_time):
            wish.shows(row)
    return 0


async def _until_now(bootstrap: str, name: str, start: Start) -> list[Stored]:
    """What a position leaves to read up to the present end."""
    rows: list[Stored] = []
    async with Follower(bootstrap, [name], start) as follower:
        while more := await follower.poll(timeout_ms=1000):
            rows += more
    return rows


async def _follow(config: Config, wish: Wish, name: str) -> None:
    async with (
        LogWriter(config.kafka.broker) as writer,
        Follower(config.kafka.broker, [name], wish.start) as follower,
    ):
        receipts = _Confirming(config, wish, writer)
        while True:
            for row in await follower.poll():
                receipts.put(wish.shows(row))


async def _as_group(config: Config, wish: Wish, name: str) -> None:
    """Show, then commit: a crash repeats a line rather than swallowing it."""
    start = wish.start if isinstance(wish.start, str) else "latest"
    async with (
        LogWriter(config.kafka.broker) as writer,
        TrackedConsumer(config.kafka.broker, wish.group, [name], start) as consumer,
    ):
        receipts = _Confirming(config, wish, writer)
        quiet = 0
        while not (wish.once and quiet > 8 and consumer.owned()):
            rows = await consumer.poll()
            quiet = 0 if rows else quiet + 1
            for row in rows:
                receipts.put(wish.shows(row))
            await consumer.commit({Place(r.topic, r.partition): r.offset + 1 for r in rows})
        await receipts.end()


class _Confirming:
    """Receipts of what was shown, if they are asked for."""

    def __init__(self, config: Config, wish: Wish, writer: LogWriter) -> None:
        self._receipts = Receipts(config, wish.confirm, writer) if wish.confirm else None
        self._task = asyncio.create_task(self._receipts.run()) if self._receipts else None

    def put(self, event: AlertEvent | None) -> None:
        """Confirm an event that was shown."""
        if event is not None and self._receipts is not None:
            self._receipts.put(event, time.time_ns() // 1000)

    async def end(self) -> None:
        """Write what waits."""
        if self._receipts is not None and self._task is not None:
            await self._receipts.end(self._task)


def _in_time(row: Stored) -> tuple[int, int, int]:
    return row.append_us, row.partition, row.offset


def line_of(topic: str, value: bytes, as_json: bool) -> str:
    """One message for people, or as a JSON document.

    Raises
    ------
    ValueError
        If it is not a record of the topic.
    """
    if topic == "alerts":
        event = _ALERT.decode(value)
        return cloud_event_json(event).decode() if as_json else plain(_alert(event))
    brief = _score(value) if topic == "scores" else _feature(value)
    return value.decode() if as_json else plain(brief)


def _alert(event: AlertEvent) -> str:
    why = f" — {'; '.join(event.text.why)}" if event.text.why else ""
    return (
        f"{_clock(event.recorded_us)} {event.subject} {event.phase} {event.priority} "
        f"{event.text.summary}{why}"
    )


def _score(value: bytes) -> str:
    row = _SCORE.decode(value)
    bounds = "" if row.lower == row.upper else f" [{row.lower}, {row.upper}]"
    return f"{_clock(row.end_us)} {row.patient_id} {row.scorer} {row.value}{bounds}"


def _feature(value: bytes) -> str:
    row = _FEATURE.decode(value)
    known = [(k, v) for k, v in row.values.items() if isinstance(v, float | int)]
    more = f" (and {len(known) - _SHOWN} more)" if len(known) > _SHOWN else ""
    shown = " ".join(f"{name}={number:.6g}" for name, number in known[:_SHOWN])
    return f"{_clock(row.end_us)} {row.patient_id} {row.window} {shown}{more}"


def _clock(time_us: int) -> str:
    """ISO 8601, whole seconds; a time no calendar has is shown as its number."""
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return f"{time_us}us"
