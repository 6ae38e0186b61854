"""`vigil audit follow`: what people and services did to alerts, hash-chained.

Carried out actions are read from `vigil.alerts.v1`, refused ones from `vigil.dlq.v1`. A row names
the event or the place on the log, so the words of a comment stay where they were said.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from alerts.alert import AlertEvent
from service import logs
from service.audit import AuditLog
from service.config import Config
from service.outputs import DeadLetter
from service.topics import require_topics
from streams.codec import decode
from streams.errors import BrokerError
from streams.io.kafka_log import Stored
from streams.io.kafka_tracked import Place, TrackedConsumer
from streams.records import AlertCommand, Reason
from streams.topics import topic_name

MAX_REMEMBERED: Final = 100_000
FILE: Final = "actions.jsonl"
_EVENT: Final = msgspec.json.Decoder(AlertEvent)
_LETTER: Final = msgspec.json.Decoder(DeadLetter)

log = logging.getLogger(__name__)


class ActionLog:
    """Writes each action once, whatever comes twice."""

    def __init__(self, path: Path) -> None:
        self._log = AuditLog(path)
        self._seen: OrderedDict[str, None] = OrderedDict()
        for row in self._log.rows():
            self._see(str(row.get("ref", "")))

    def take(self, row: Stored, dead: bool) -> None:
        """Write the action a message tells of, if it tells of one.

        Raises
        ------
        ValueError
            If it is no record of its topic.
        """
        found = refused_action(row) if dead else carried_out(row)
        if found is not None and self._see(found["ref"]):
            self._log.append(found)

    def close(self) -> None:
        """Let go of the file."""
        self._log.close()

    def _see(self, ref: str) -> bool:
        if ref in self._seen:
            return False
        self._seen[ref] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return True


def carried_out(row: Stored) -> dict[str, Any] | None:
    """The action that made an event; None for an event nobody asked for."""
    event = _EVENT.decode(row.value)
    if not event.actions or event.actions[-1].seq != event.seq:
        return None
    action = event.actions[-1]
    return {
        "kind": "action",
        "ref": event.event_id,
        "command_id": action.command_id,
        "action": action.type,
        "by": action.by,
        "role": action.role,
        "at_us": action.at_us,
        "until_us": action.until_us,
        "phase": str(event.phase),
        "after": msgspec.to_builtins(event.state),
    }


def refused_action(row: Stored) -> dict[str, Any] | None:
    """The command behind a dead letter; None for a letter of another kind."""
    letter = _LETTER.decode(row.value)
    if letter.reason not in (Reason.BAD_COMMAND, Reason.UNAUTHORISED):
        return None
    original = base64.b64decode(letter.original)
    record = decode(original, letter.partition, letter.offset, row.append_us).record
    said = record if isinstance(record, AlertCommand) else None
    if said is None and letter.reason == Reason.UNAUTHORISED:
        return None  # a forged tick: nobody's action
    return {
        "kind": "refused_action",
        "ref": f"{letter.partition}:{letter.offset}",
        "command_id": said.command_id if said else "",
        "action": said.action[:200] if said else "",
        "by": said.actor[:200] if said else "",
        "role": said.role[:200] if said else "",
        "at_us": row.append_us,
        "why": letter.detail[:500],
    }


def run(config: Config, on_start: Callable[[str], None] = lambda line: None) -> None:
    """Follow until SIGTERM or SIGINT; `on_start` is told one line once it does.

    Raises
    ------
    ConfigError
        If topics are missing or another process writes the log.
    BrokerError
        If Kafka is away at the start.
    """
    require_topics(config)
    actions = ActionLog(Path(config.audit_dir) / FILE)
    try:
        asyncio.run(_run(config, actions, on_start))
    finally:
        actions.close()


async def _run(config: Config, actions: ActionLog, on_start: Callable[[str], None]) -> None:
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    kafka = config.kafka
    dead = topic_name("dlq", kafka.prefix)
    topics = [topic_name("alerts", kafka.prefix), dead]
    group = f"{kafka.group}-audit"
    async with TrackedConsumer(kafka.broker, group, topics, "earliest") as consumer:
        logs.hear_clients()
        on_start(f"following {' and '.join(topics)} into {config.audit_dir}; Ctrl-C ends")
        while not stopping.is_set():
            try:
                done = _taken(actions, await consumer.poll(), dead)
                await consumer.commit(done)
            except BrokerError as fault:
                log.warning("audit waits: %s", fault)
                await asyncio.sleep(1.0)


def _taken(actions: ActionLog, rows: list[Stored], dead: str) -> dict[Place, int]:
    done = {}
    for row in rows:
        try:
            actions.take(row, row.topic == dead)
        except (ValueError, RecursionError):
            where = f"{row.topic}/{row.partition}/{row.offset}"
            log.warning("%s is no record of its topic", where)
        done[Place(row.topic, row.partition)] = row.offset + 1
    return done
