"""`vigil subscribe`: output topics on stdout, one line each."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import typer

from alerts.alert import AlertEvent
from alerts.envelope import cloud_event_json
from service.config import Config
from streams.io.kafka_log import Stored
from streams.io.kafka_read import LogReader, read_topic
from streams.topics import topic_name

_ALERT = msgspec.json.Decoder(AlertEvent)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    """
    name = topic_name(topic, config.kafka.prefix)
    if once:
        for row in asyncio.run(read_topic(config.kafka.bootstrap, name)):
            typer.echo(_line(topic, row, as_json))
        return 0
    asyncio.run(_follow(config.kafka.bootstrap, name, topic, start, as_json))
    return 0


async def _follow(bootstrap: str, name: str, topic: str, start: str, as_json: bool) -> None:
    async with LogReader(bootstrap, [name], start) as reader:
        async for row in reader:
            typer.echo(_line(topic, row, as_json))


def _line(topic: str, row: Stored, as_json: bool) -> str:
    if topic == "alerts":
        event = _ALERT.decode(row.value)
        if as_json:
            return cloud_event_json(event).decode()
        why = f" — {'; '.join(event.text.why)}" if event.text.why else ""
        return (
            f"{_clock(event.recorded_us)} {event.subject} {event.phase:<12} "
            f"{event.priority:<6} {event.text.summary}{why}"
        )
    if as_json:
        return row.value.decode()
    return _brief(topic, json.loads(row.value))


def _brief(topic: str, record: dict[str, Any]) -> str:
    head = f"{_clock(record['end_us'])} {record['patient_id']}"
    if topic == "scores":
        return f"{head} {record['scorer']} {record['value']} [{record['lower']}, {record['upper']}]"
    values = {k: v for k, v in record["values"].items() if v is not None}
    return f"{head} {record['window']} " + " ".join(f"{k}={v:.6g}" for k, v in values.items())


def _clock(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
