"""`vigil watch`: who confirms no alerts, which worker or fleet of devices fell silent.

A process of its own. What it finds becomes an `AlertCommand` on the patient's log, so that the
technical alert is ordered and replays like every other, and a metric, which speaks when no engine
is left to raise one.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from alerts.alert import AlertEvent, AlertRecord
from service import logs
from service.alert_desk import messages
from service.canary import Canary
from service.config import Config
from service.deliver_host import latest_states
from service.fleet import OUTAGE, FleetRules, FleetWatch, Outage
from service.group_lag import watch_lags
from service.heartbeat import Change, HeartbeatWatch, parse_heartbeat
from service.keys import load_ring
from service.overload import OverloadRules, OverloadWatch, Shed
from service.receipts import (
    CONDITION,
    Lapse,
    ReceiptWatch,
    WatchRules,
    command,
    lapse_command,
    parse_receipt,
)
from service.topics import require_topics
from streams.codec import encode
from streams.errors import BrokerError, ConfigError
from streams.io.kafka_follow import Follower
from streams.io.kafka_log import LogWriter, Message, Stored
from streams.partition import partition_of
from streams.records import ANYONE, CANARY, AlertCommand, Chunk, DeviceStatus, SignalBundle
from streams.topics import topic_name

HEARTBEAT: Final = f"{CONDITION}:heartbeat"
LOOKBACK_US: Final = 600 * 1_000_000  # read again at the start: what was not confirmed by then
PATIENT_US: Final = 3600 * 1_000_000  # a patient without a score for so long is not watched now
MAX_PATIENTS: Final = 100_000
TOPICS: Final = ("alerts", "receipts", "heartbeat", "scores")
_EVENT: Final = msgspec.json.Decoder(AlertEvent)

log = logging.getLogger(__name__)


class Watch:
    """Messages in, commands out; the clock is given with every call.

    Parameters
    ----------
    config : Config
        Whose receipts are expected, and how soon.
    """

    def __init__(self, config: Config) -> None:
        watch, prefix = config.watch, config.kafka.prefix
        rules = WatchRules(watch.consumers, round(watch.receipt_s * 1e6))
        self.receipts = ReceiptWatch(rules)
        self.beats = HeartbeatWatch(round(watch.heartbeat_s * 1e6))
        self.overload = OverloadWatch(
            OverloadRules(watch.shed_s, watch.hop_s, min(watch.calm_s, watch.shed_s))
        )
        within_us = round(watch.fleet_within_s * 1e6)
        self.fleet = FleetWatch(FleetRules(watch.fleet_patients, watch.fleet_share, within_us))
        self._partitions = config.kafka.partitions
        self.canary = Canary(round(watch.canary_s * 1e6), time.time_ns() // 1000)
        self._patients: dict[str, int] = {}  # seen with a score, when
        self._shorts = {topic_name(short, prefix): short for short in TOPICS}

    def seed(self, records: Sequence[AlertRecord]) -> None:
        """Take over what was told before a restart: it stands in the open alerts."""
        self.receipts.seed(records)
        self.fleet.seed(records)
        self.overload.seed(records)

    def hear(self, row: Stored, now_us: int) -> list[AlertCommand]:
        """Take one message of any of the topics; the commands it leads to."""
        try:
            return self._hear(self._shorts[row.topic], row, now_us)
        except (ValueError, RecursionError):
            where = f"{row.topic}/{row.partition}/{row.offset}"
            log.warning("%s is no record of its topic", where)
            return []

    def tick(self, now_us: int) -> list[AlertCommand]:
        """What is overdue by now."""
        self._patients = {p: at for p, at in self._patients.items() if now_us - at < PATIENT_US}
        changes = self.beats.silent(now_us)
        commands = [lapse_command(lapse, now_us) for lapse in self._told(now_us)]
        outage = self.fleet.judge(len(self._patients))
        if outage is not None:
            commands.append(_outage_command(outage, now_us))
        shed = self.overload.judge(self.beats.lag_s(now_us), now_us)
        if shed is not None:
            commands.append(_shed_command(shed, now_us))
        return commands + [c for change in changes for c in self._monitoring(change, now_us)]

    def patients(self) -> int:
        """How many had a score lately."""
        return len(self._patients)

    def _hear(self, short: str, row: Stored, now_us: int) -> list[AlertCommand]:
        if row.key == CANARY.encode():
            self._hear_canary(short, row, now_us)
        elif short == "scores":
            if row.key and len(self._patients) < MAX_PATIENTS:
                self._patients[row.key.decode()] = now_us
        elif short == "alerts":
            event = _EVENT.decode(row.value)
            self.receipts.published(event, row.append_us)
            self.fleet.heard(event)
        elif short == "receipts":
            return [
                lapse_command(x, now_us) for x in self.receipts.confirmed(parse_receipt(row.value))
            ]
        elif now_us - row.append_us < LOOKBACK_US:
            changes = self.beats.beat(parse_heartbeat(row.value), max(row.append_us, 0))
            return [c for change in changes for c in self._monitoring(change, now_us)]
        return []

    def _hear_canary(self, short: str, row: Stored, now_us: int) -> None:
        if short == "scores":
            self.canary.heard_score(row.append_us)
        elif short == "alerts":
            self.canary.heard_alert(row.append_us, now_us)

    def _told(self, now_us: int) -> list[Lapse]:
        lapses = self.receipts.lapses(now_us)
        for consumer in sorted({lapse.consumer for lapse in lapses}):
            log.error("consumer %s confirms no alerts", consumer)
        return lapses

    def _monitoring(self, change: Change, now_us: int) -> Iterable[AlertCommand]:
        """Commands to every patient of the partitions of a worker that fell silent, or is back."""
        what = "beats again" if change.alive else "is silent"
        log.error("worker %s %s (%d partitions)", change.instance, what, len(change.partitions))
        for patient in sorted(self._patients):
            if partition_of(patient, self._partitions) in change.partitions:
                where = (patient, HEARTBEAT, f"Worker {change.instance} {what}")
                yield command(where, change.since_us, over=change.alive, at_us=now_us)


def run(config: Config) -> None:
    """Watch until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If topics are missing, or the port for metrics is taken.
    BrokerError
        If Kafka is away at the start.
    """
    require_topics(config)
    figures = Figures(CollectorRegistry())
    host, port = config.watch.http_host, config.watch.http_port
    if port >= 0:
        try:
            start_http_server(port, host, figures.registry)
        except OSError as error:
            raise ConfigError(f"cannot serve metrics on {host}:{port} ({error})") from error
    asyncio.run(_run(config, figures))


async def _run(config: Config, figures: Figures) -> None:
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    kafka = config.kafka
    sign = load_ring(config, "command").sign
    watch = Watch(config)
    watch.seed(await latest_states(config))
    topics = [topic_name(short, kafka.prefix) for short in TOPICS]
    start_us = time.time_ns() // 1000 - LOOKBACK_US
    async with (
        LogWriter(kafka.broker) as writer,
        Follower(kafka.broker, topics, start_us) as follower,
    ):
        logs.hear_clients()
        sings = config.watch.canary_s > 0
        lags = asyncio.create_task(watch_lags(config, figures.behind))
        while not stopping.is_set():
            rows = await _polled(follower)
            now_us = time.time_ns() // 1000
            commands = [c for row in rows for c in watch.hear(row, now_us)]
            if not rows:  # what is on the log already has been heard
                commands += watch.tick(now_us)
            await writer.send_all([m for c in commands for m in messages(config, sign(c), now_us)])
            if sings:
                await writer.send_all(_song(config, watch.canary.due(now_us), now_us))
            figures.show(watch, now_us)
        lags.cancel()
        if sings:
            now_us = time.time_ns() // 1000
            await writer.send_all(_song(config, watch.canary.farewell(now_us), now_us))


def _song(config: Config, records: Sequence[Chunk | DeviceStatus], now_us: int) -> list[Message]:
    """The canary's records for its place on the log."""
    topic = topic_name("in", config.kafka.prefix)
    where = partition_of(CANARY, config.kafka.partitions)
    bundled = [SignalBundle((r,)) if isinstance(r, Chunk) else r for r in records]
    return [Message(topic, where, now_us, CANARY.encode(), encode(record)) for record in bundled]


async def _polled(follower: Follower) -> list[Stored]:
    try:
        return await follower.poll()
    except BrokerError as fault:
        log.warning("watch waits: %s", fault)
        await asyncio.sleep(1.0)
        return []


def _outage_command(outage: Outage, now_us: int) -> AlertCommand:
    """An outage to everybody: it raises one alert and holds back `no_data` of each patient."""
    words = f"{outage.patients} patients silent"
    log.error("device fleet outage %s: %s", "is over" if outage.over else "began", words)
    where = (ANYONE, OUTAGE, words)
    return command(where, outage.since_us, over=outage.over, at_us=now_us)


def _shed_command(shed: Shed, now_us: int) -> AlertCommand:
    """The record from which on less is computed, or all again."""
    log.warning("%s %s: %s", shed.code, "is over" if shed.over else "began", shed.words)
    where = (ANYONE, shed.code, shed.words)
    return command(where, shed.since_us, over=shed.over, at_us=now_us)


class Figures:
    """What the watch reports, as Prometheus series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._lapsed = Gauge(
            "vigil_receipt_missing_patients",
            "Patients whose alerts a consumer does not confirm.",
            ["consumer"],
            registry=registry,
        )
        self._waiting = Gauge(
            "vigil_receipt_waiting_events", "Alert events not confirmed yet.", registry=registry
        )
        self._age = Gauge(
            "vigil_heartbeat_age_seconds",
            "Time since the last heartbeat of any worker; -1 before the first.",
            registry=registry,
        )
        self._silent = Gauge(
            "vigil_silent_patients", "Patients with an alert that no data comes.", registry=registry
        )
        self._degraded = Gauge(
            "vigil_degraded",
            "Left out under load: 0 nothing, 1 backfill, 2 windows come less often as well.",
            registry=registry,
        )
        self._live = Gauge(
            "vigil_live", "1 while some worker beats and is ready.", registry=registry
        )
        self._behind = Gauge(
            "vigil_group_lag_records",
            "Records that a consumer group has not committed.",
            ["group"],
            registry=registry,
        )
        self._patients = Gauge(
            "vigil_monitored_patients", "Patients with a score in the last hour.", registry=registry
        )
        self._canary = Gauge(
            "vigil_canary_age_seconds",
            "Since an alert and a score of the canary patient were last caused.",
            registry=registry,
        )
        self._trip = Gauge(
            "vigil_canary_round_trip_seconds",
            "From the canary's last record to its alert, as seen by the watch.",
            registry=registry,
        )

    def behind(self, group: str, records: int) -> None:
        """A group is so many records behind."""
        self._behind.labels(group).set(records)

    def show(self, watch: Watch, now_us: int) -> None:
        """Set the series."""
        for consumer, count in watch.receipts.lapsed().items():
            self._lapsed.labels(consumer).set(count)
        self._waiting.set(watch.receipts.waiting())
        self._silent.set(watch.fleet.silent())
        self._degraded.set(watch.overload.level)
        self._patients.set(watch.patients())
        self._canary.set(watch.canary.age_s(now_us))
        self._trip.set(watch.canary.round_trip_s or 0.0)
        age_s = watch.beats.age_s(now_us)
        self._age.set(-1.0 if age_s is None else age_s)
        self._live.set(watch.beats.live(now_us))
