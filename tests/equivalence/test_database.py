"""Live with the event feed, then replayed from the database: the same bytes.

The live log is made as it is lived: facts are inserted while the signals play, the feed publishes
them between two records and marks where they stand; late commits, corrections, cancellations and a
crash of the feed included. The replay sees the recordings and the database, nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psycopg
import pytest

from service.build import build_engine
from service.config import Config, KafkaConfig
from service.embedded import numbered, run
from service.event_feed import EventFeed, FeedSpec
from service.event_store import on_the_log
from service.replay import Inputs, entries, replay_embedded
from service.replay_kafka import Workers, collect, finish
from service.results import Collector, Results
from streams.history import LogEntry
from streams.io.files.recording import Recording, Signal
from streams.io.ingest import ingest
from streams.io.kafka_log import LogWriter
from streams.io.store import Store
from streams.io.store_rows import Published
from streams.partition import partition_of
from streams.records import ClinicalEvent

pytestmark = [pytest.mark.database, pytest.mark.slow]

START_US = 1_704_067_200_000_000  # 2024-01-01T00:00Z
S = 1_000_000
SECONDS = 420
PARTITIONS = 8
PATIENTS = ("p1", "p2", "p3")


def recording(patient_id: str, number: int) -> Recording:
    """Saturation, breaths and pulse a second apart; one patient is not well."""
    chance = np.random.default_rng(number)
    base = {"spo2": (97.0, 93.0), "resp_rate": (16.0, 22.0), "hr": (70.0, 112.0)}
    signals = []
    for name, (well, ill) in base.items():
        level = ill if number == 1 else well
        samples = np.round(level + chance.normal(0, 0.5, SECONDS))
        unit = "%" if name == "spo2" else "/min"
        signals.append(Signal(name, 1.0, unit, START_US, samples, 1.0))
    return Recording(patient_id, f"d-{patient_id}", "made", tuple(signals))


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    made = tuple(recording(patient_id, n) for n, patient_id in enumerate(PATIENTS))
    return Inputs(made, (), ())


@pytest.fixture(scope="module")
def config() -> Config:
    return Config(kafka=KafkaConfig(partitions=PARTITIONS))


@pytest.fixture
def on_kafka(config: Config, kafka_bootstrap: str, kafka_prefix: str) -> Config:
    own = KafkaConfig(kafka_bootstrap, kafka_prefix, PARTITIONS, group=kafka_prefix)
    return msgspec.structs.replace(config, kafka=own)


def fact(
    name: str, code: str, value: float | None, at_s: float, **changes: object
) -> ClinicalEvent:
    """A fact of p2, known as soon as it is true unless told."""
    at_us = START_US + round(at_s * S)
    unit = {"sbp": "mm[Hg]", "temp": "Cel", "lactate": "mmol/L"}.get(code, "")
    plain = ClinicalEvent(name, 1, "final", "p2", code, value, unit, "", at_us, at_us, "ehr")
    return msgspec.structs.replace(plain, **changes)


# When rows reach the database, s after the start.
FACTS: list[tuple[float, ClinicalEvent]] = [
    (1.0, fact("history", "sbp", 118.0, -7200, patient_id="p1")),
    (20.0, fact("a", "sbp", 88.0, 15)),
    (20.0, fact("tie", "sbp", 92.0, 15)),
    (20.0, fact("other", "temp", 39.4, 12, patient_id="p3")),
    (95.0, fact("late", "temp", 39.6, 30)),
    (130.0, fact("a", "sbp", 131.0, 15, version=2, status="corrected")),
    (131.0, fact("later", "oxygen", 1.0, 131, known_time_us=START_US + 190 * S)),
    (170.0, fact("c", "sbp", 84.0, 169)),
    (240.0, fact("c", "sbp", None, 169, version=2, status="cancelled")),
    (260.0, fact("d", "consciousness", None, 258, text="V")),
    (260.0, fact("d", "consciousness", None, 258, text="A", version=2, status="corrected")),
    (330.0, fact("e", "sbp", 99.0, 329, patient_id="p1")),
]
LATE_COMMIT_S = (100.0, 215.0)  # inserted at the first, committed at the second
CRASH_AT_S = 131.0  # the feed dies after publishing and before marking


class Lived:
    """A log that grows as time passes: records of the gateway, facts of the feed between them."""

    def __init__(self, store: Store, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[LogEntry] = []
        self._store, self._dsn, self._patch = store, dsn, monkeypatch
        self._now_us = 0
        self._feed = self._new_feed()
        self._slow: psycopg.Connection[tuple[object, ...]] | None = None

    def play(self, records: Iterator[LogEntry]) -> list[LogEntry]:
        """The whole log: every step happens between the records before and after it."""
        steps = sorted(self._steps(), key=lambda step: step[0])
        for entry in records:
            while steps and START_US + round(steps[0][0] * S) < entry.append_us:
                at_s, step = steps.pop(0)
                self._now_us = max(self._now_us, START_US + round(at_s * S))
                step()
            self.log.append(entry)
            self._now_us = max(self._now_us, entry.append_us)
        assert not steps
        return self.log

    def _steps(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for at_s, event in FACTS:
            yield at_s, lambda event=event: self._insert(event)  # type: ignore[misc]
        for at_s in sorted({at_s for at_s, _ in FACTS if at_s != CRASH_AT_S}):
            yield at_s + 0.4, self._publish
        yield CRASH_AT_S + 0.4, self._die
        yield CRASH_AT_S + 20, self._publish
        yield LATE_COMMIT_S[0], self._begin_late
        yield LATE_COMMIT_S[1], self._commit_late
        yield LATE_COMMIT_S[1] + 0.4, self._publish

    def _insert(self, event: ClinicalEvent) -> None:
        self._store.insert_events([event])

    def _publish(self) -> None:
        self._feed.drain()

    def _die(self) -> None:
        def die(*_: object, **__: object) -> int:
            raise KeyboardInterrupt

        with self._patch.context() as patched:
            patched.setattr(self._store.feed, "mark", die)
            with pytest.raises(KeyboardInterrupt):
                self._feed.once()
        self._feed = self._new_feed()

    def _begin_late(self) -> None:
        self._slow = psycopg.connect(self._dsn)
        self._slow.execute(
            "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, value, "
            "unit, event_time, known_time) VALUES ('slow', 1, 'final', 'p2', 'lactate', 5.1, "
            "'mmol/L', '2024-01-01 00:01:30Z', '2024-01-01 00:01:35Z')"
        )

    def _commit_late(self) -> None:
        assert self._slow is not None
        self._slow.commit()
        self._slow.close()

    def _new_feed(self) -> EventFeed:
        return EventFeed(self._store, self, FeedSpec(settle_s=0.0), self._clock)

    def _clock(self) -> int:
        self._now_us += 1
        return self._now_us

    def publish(self, events: Sequence[ClinicalEvent], append_us: int) -> list[tuple[int, int]]:
        places = []
        for event in events:
            partition = partition_of(event.patient_id, PARTITIONS)
            places.append((partition, sum(e.partition == partition for e in self.log)))
            self.log.append(LogEntry(partition, append_us, event))
        return places

    def find(self, since_us: int) -> Iterator[Published]:
        offsets = [0] * PARTITIONS
        for entry in self.log:
            record, offset = entry.record, offsets[entry.partition]
            offsets[entry.partition] += 1
            if isinstance(record, ClinicalEvent) and entry.append_us >= since_us:
                key = (record.event_id, record.version, record.event_time_us)
                yield Published(*key, entry.partition, offset, entry.append_us)


def lived(inputs: Inputs, store: Store, dsn: str, patch: pytest.MonkeyPatch) -> list[LogEntry]:
    return Lived(store, dsn, patch).play(entries(inputs, PARTITIONS))


def of(log: Sequence[LogEntry], config: Config) -> Results:
    """What an engine says of a log."""
    collector = Collector()
    for outputs in run(build_engine(config), numbered(log)):
        collector.take(outputs.messages)
    return collector.results()


def from_database(inputs: Inputs, store: Store) -> Inputs:
    """As `vigil replay --events timescale` reads them."""
    return inputs._replace(events=on_the_log(store.stored_events(sorted(PATIENTS), 0, 2**62)))


def test_a_replay_from_the_database_leaves_the_bytes_of_the_live_run(
    any_store: Store,
    any_edition_dsn: str,
    inputs: Inputs,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = lived(inputs, any_store, any_edition_dsn, monkeypatch)
    live = of(log, config)
    facts = [entry for entry in log if isinstance(entry.record, ClinicalEvent)]
    assert len(facts) == len(FACTS) + 1, "each once, the late commit too"
    assert {event.phase for event in live.alerts} >= {"raised"}
    replayed = replay_embedded(from_database(inputs, any_store), config)
    assert replayed.results.digests == live.digests
    without = replay_embedded(inputs, config)
    assert without.results.digests != live.digests, "the facts matter"


def test_known_times_alone_would_not_do(
    store: Store,
    database_dsn: str,
    inputs: Inputs,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trap: a replay that ignores where facts stood on the log knows more than the engine."""
    live = of(lived(inputs, store, database_dsn, monkeypatch), config)
    rows = list(store.stored_events(sorted(PATIENTS), 0, 2**62))
    early = inputs._replace(events=tuple((row.event.known_time_us, row.event) for row in rows))
    assert replay_embedded(early, config).results.digests != live.digests


@pytest.mark.broker
def test_a_worker_on_kafka_leaves_them_too(
    store: Store,
    database_dsn: str,
    inputs: Inputs,
    on_kafka: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = lived(inputs, store, database_dsn, monkeypatch)
    through = asyncio.run(_through(log, on_kafka, tmp_path))
    config = Config(kafka=KafkaConfig(partitions=PARTITIONS))
    replayed = replay_embedded(from_database(inputs, store), config)
    assert through.digests == replayed.results.digests


async def _through(log: list[LogEntry], config: Config, folder: Path) -> Results:
    workers = Workers(config, folder, 1)
    try:
        async with LogWriter(config.kafka.bootstrap) as writer:
            await ingest(log, writer, prefix=config.kafka.prefix)
        await finish(config, workers)
    finally:
        workers.stop()
    return (await collect(config.kafka.bootstrap, config.kafka.prefix)).results()
