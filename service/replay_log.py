"""Replay a stretch of a Kafka log: `kafka://TOPIC?from=TIME&to=TIME` through the live engine.

The records are those the worker saw, with their offsets and append times, ticks and commands
included, so from the log's beginning the bytes are the live ones. From later on, a patient's
state begins anew there, as it would have for a worker that was first started then.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from service.build import build_engine
from service.config import Config
from service.embedded import BATCH
from service.engine import Engine
from service.keys import load_ring
from service.progress import SILENT, Watcher
from service.replay import Inputs, Replayed, describe
from service.results import Collector
from streams.codec import MAX_TIME_US, decode
from streams.errors import ConfigError, SourceError
from streams.io.kafka_log import Stored
from streams.io.kafka_read import read_between
from streams.records import LogRecord

NO_FILES: Final = Inputs((), (), ())
_ADDRESS: Final = re.compile(r"kafka:/{1,2}([A-Za-z0-9._-]+)(?:\?(.*))?")  # a Path folds slashes


class LogSource(NamedTuple):
    """Which stretch of which topic, by append time."""

    topic: str
    from_us: int = 0
    to_us: int = MAX_TIME_US


def log_source(text: str) -> LogSource | None:
    """The stretch an address names; None when it is no Kafka address.

    Raises
    ------
    ConfigError
        If it is one and its times cannot be read.

    Examples
    --------
    >>> log_source("kafka://vigil.in.v1?from=2026-01-01T00:00:00Z").topic
    'vigil.in.v1'
    >>> log_source("recordings/") is None
    True
    """
    if not text.startswith("kafka:"):
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text}: write kafka://TOPIC?from=TIME&to=TIME")
    asked = parse_qs(found[2] or "", keep_blank_values=True)
    unknown = sorted(set(asked) - {"from", "to"})
    if unknown:
        raise ConfigError(f"{text}: unknown {', '.join(unknown)}; from and to may stand there")
    source = LogSource(found[1])
    if "from" in asked:
        source = source._replace(from_us=_time_us(asked["from"][0], text))
    if "to" in asked:
        source = source._replace(to_us=_time_us(asked["to"][0], text))
    return source


def replay_log(source: LogSource, config: Config, watcher: Watcher = SILENT) -> Replayed:
    """Run the engine in this process over a stretch of a log.

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    SourceError
        If the stretch holds no record.
    """
    began_s, cpu_s = time.perf_counter(), time.process_time()
    engine = build_engine(config, keyring=load_ring(config).keys)
    collector = Collector()
    count = asyncio.run(_drive(source, config, (engine, collector), watcher))
    if not count:
        raise SourceError(f"kafka://{source.topic}: no record in that stretch of time")
    results = collector.results()
    described = describe(NO_FILES, config, "embedded")
    described["log"] = {**source._asdict(), "records": count}
    described["patients"] = engine.patients()
    described["counters"] = dict(sorted(engine.counters.items()))
    described["cost"] = {
        "wall_s": round(time.perf_counter() - began_s, 3),
        "cpu_s": round(time.process_time() - cpu_s, 3),
    }
    return Replayed(results, described)


async def _drive(
    source: LogSource, config: Config, into: tuple[Engine, Collector], watcher: Watcher
) -> int:
    watcher.stage("replaying the log", None)
    count, rows = 0, list[Stored]()
    stretch = (source.topic, source.from_us, source.to_us)
    async for row in read_between(config.kafka.broker, *stretch):
        rows.append(row)
        if len(rows) == BATCH:
            count += _feed(rows, into, watcher)
            rows = []
    return count + _feed(rows, into, watcher)


def _feed(rows: Sequence[Stored], into: tuple[Engine, Collector], watcher: Watcher) -> int:
    engine, collector = into
    records: list[LogRecord] = [
        decode(row.value, row.partition, row.offset, row.append_us) for row in rows
    ]
    collector.take(engine.feed(records).messages)
    watcher.step(len(rows))
    return len(rows)


def _time_us(text: str, address: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{address}: {text!r} is no time like 2026-01-31T12:00:00Z") from None
    if at.tzinfo is None:
        raise ConfigError(f"{address}: {text!r} needs an offset, like Z")
    return round(at.astimezone(UTC).timestamp() * 1e6)
