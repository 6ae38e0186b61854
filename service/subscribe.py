"""`vigil subscribe`: output topics on stdout, one line each."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import typer

from alerts.alert import AlertEvent
from alerts.envelope import cloud_event_json
from service.cli.common import plain
from service.config import Config
from streams.io.kafka_log import Stored
from streams.io.kafka_read import LogReader, read_topic
from streams.topics import topic_name

_ALERT = msgspec.json.Decoder(AlertEvent)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 6  # values of a feature row in its line; --json has them all

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


def follow(config: Config, topic: str, start: str, *, once: bool, as_json: bool) -> int:
    """Print messages until interrupted, or to the present end with `once`; returns 0.

    Parameters
    ----------
    config : Config
        Which broker and prefix.
    topic : str
        alerts, scores or features.
    start : str
        earliest or latest.
    once, as_json : bool
        End at the present end; print whole records (alerts as CloudEvents) instead of a line.

    Raises
    ------
    BrokerError
        If Kafka does not answer or the topic does not exist.
    """
    name, bootstrap = topic_name(topic, config.kafka.prefix), config.kafka.bootstrap
    if not once:
        asyncio.run(_follow(bootstrap, name, topic, start, as_json))
        return 0
    rows = asyncio.run(read_topic(bootstrap, name)) if start == "earliest" else []
    for row in sorted(rows, key=lambda row: (row.append_us, row.partition, row.offset)):
        _show(topic, row, as_json)
    return 0


async def _follow(bootstrap: str, name: str, topic: str, start: str, as_json: bool) -> None:
    async with LogReader(bootstrap, [name], start) as reader:
        async for row in reader:
            _show(topic, row, as_json)


def _show(topic: str, row: Stored, as_json: bool) -> None:
    """Print a message; one that is not ours is told by its place, and the next ones go on."""
    try:
        line = line_of(topic, row.value, as_json)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        log.warning(
            "%s partition %d offset %d: not a record of this topic",
            row.topic,
            row.partition,
            row.offset,
        )
        return
    typer.echo(line)


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
