"""The one idea, on real parts: workers on Kafka leave the bytes of the embedded run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from service.config import Config, KafkaConfig
from service.history import Known
from service.replay import Inputs, Replayed, entries, load, replay_embedded
from service.replay_kafka import Workers, collect, finish, replay_kafka
from service.replay_log import LogSource, log_source, replay_log
from service.results import Results
from streams.errors import SourceError
from streams.io.ingest import ingest
from streams.io.kafka_log import LogWriter
from streams.records import ANYONE, AlertCommand
from streams.topics import topic_name

pytestmark = [pytest.mark.broker, pytest.mark.data, pytest.mark.slow]

PARTITIONS = 8
KILLS = 5


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Facts that turn borderline patients into alerts, some known late, one row bad."""
    path = tmp_path_factory.mktemp("events") / "events.csv"
    rows = ["patient_id,event_time,known_time,code,value,unit,text,source"]
    for number in ("01", "04", "08", "32", "49"):
        rows += [
            f"bidmc_{number},+30,+60,sbp,88,mmHg,,monitor",
            f"bidmc_{number},+20,+200,temp,39.4,Cel,,nurse",
            f"bidmc_{number},+100,+110,oxygen,1,,,nurse",
            f"bidmc_{number},+90,+300,consciousness,,,V,nurse",
        ]
    rows.append("bidmc_01,+10,,lactate,3,mmol/L,,lab")  # no known time: refused
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def inputs(archive: Callable[[str], Path], events: Path) -> Inputs:
    """Eight real records with clinical events."""
    found = load([archive("bidmc")], events)
    chosen = tuple(
        r for r in found.recordings if r.patient_id <= "bidmc_09" or "32" in r.patient_id
    )
    names = {r.patient_id for r in chosen}
    kept = tuple(row for row in found.events if row[1].patient_id in names)
    assert len(found.faults) == 1, "the bad row is refused and told"
    start_us = chosen[0].signals[0].start_us
    return Inputs(chosen, kept, found.faults, commands(start_us))


def commands(start_us: int) -> tuple[Known, ...]:
    """Silences and an outage for everybody, one silence for one patient."""

    def asked(at_s: float, patient: str, action: str, target: str, for_s: float = 0.0) -> Known:
        at_us = start_us + round(at_s * 1e6)
        until_us = at_us + round(for_s * 1e6) if for_s else 0
        name = f"{action}-{at_s:g}"
        who = ("service:test", "service", "a test")
        made = AlertCommand(name, patient, target, action, *who, -1, until_us, at_us)
        return at_us, made

    return (
        asked(61.0, ANYONE, "silence", "condition=single_parameter", 240.0),
        asked(90.5, ANYONE, "lost", "device_fleet_outage"),
        asked(150.0, "bidmc_08", "silence", "condition=deterioration,up_to=high", 120.0),
        asked(200.0, ANYONE, "unsilence", "silence-61"),
        asked(222.0, ANYONE, "regained", "device_fleet_outage"),
        asked(230.0, ANYONE, "acknowledge", "no-such-alert"),
    )


@pytest.fixture(scope="module")
def config(kafka_bootstrap: str) -> Config:
    """The default configuration on the test broker, with few partitions."""
    return Config(kafka=KafkaConfig(bootstrap=kafka_bootstrap, partitions=PARTITIONS))


@pytest.fixture(scope="module")
def embedded(inputs: Inputs, config: Config) -> Replayed:
    """What the embedded run leaves."""
    return replay_embedded(inputs, config)


def test_the_embedded_run_says_something_worth_comparing(embedded: Replayed) -> None:
    phases = {event.phase for event in embedded.results.alerts}
    assert {"raised", "updated", "unsuppressed"} <= phases
    assert any(event.subject == ANYONE for event in embedded.results.alerts)
    assert {dead.reason for dead in embedded.results.dead} == {"bad_command"}
    assert len(embedded.results.scores) > 500


def test_the_embedded_run_leaves_the_same_bytes_twice(
    inputs: Inputs, config: Config, embedded: Replayed
) -> None:
    assert replay_embedded(inputs, config).results.digests == embedded.results.digests


RUNS = [("faust", 1), ("faust", 2), ("direct", 1), ("direct", 2)]


@pytest.mark.parametrize(("runner", "workers"), RUNS)
def test_workers_on_kafka_leave_the_bytes_of_the_embedded_run(
    inputs: Inputs, config: Config, embedded: Replayed, runner: str, workers: int
) -> None:
    worker = msgspec.structs.replace(config.worker, runner=runner)
    through = replay_kafka(inputs, msgspec.structs.replace(config, worker=worker), workers)
    assert through.results.digests == embedded.results.digests
    assert through.run["worker_restarts"] == 0


@pytest.fixture
def own(config: Config, kafka_prefix: str) -> Callable[[str], Config]:
    """The configuration on topics of this test, checkpoints often, for a runner."""
    kafka = msgspec.structs.replace(config.kafka, prefix=kafka_prefix, group=kafka_prefix)

    def of(runner: str) -> Config:
        worker = msgspec.structs.replace(config.worker, checkpoint_s=1.0, runner=runner)
        return msgspec.structs.replace(config, kafka=kafka, worker=worker)

    return of


@pytest.mark.parametrize(("runner", "workers"), RUNS)
def test_workers_killed_at_random_moments_change_no_alert(
    inputs: Inputs,
    own: Callable[[str], Config],
    embedded: Replayed,
    tmp_path: Path,
    runner: str,
    workers: int,
) -> None:
    running = Workers(own(runner), tmp_path, workers)
    results, kills = asyncio.run(_killed(inputs, own(runner), running, random.Random(workers)))
    assert kills >= KILLS
    assert results.digests == embedded.results.digests


async def _killed(
    inputs: Inputs, config: Config, workers: Workers, chance: random.Random
) -> tuple[Results, int]:
    """Play the log for about 25 s while SIGKILL strikes; the worker is started again each time."""
    kills = 0
    try:
        async with LogWriter(config.kafka.bootstrap) as writer:
            log = entries(inputs, PARTITIONS)
            playing = asyncio.create_task(
                ingest(log, writer, prefix=config.kafka.prefix, speed=20.0)
            )
            while not playing.done() or kills < KILLS:
                await asyncio.sleep(chance.uniform(1.5, 5.0))
                workers.kill(chance.randrange(len(workers)))
                kills += 1
                workers.tend()
            await playing
        await finish(config, workers)
    finally:
        workers.stop()
    collector = await collect(config.kafka.bootstrap, config.kafka.prefix)
    return collector.results(), kills


def test_the_log_itself_replayed_leaves_the_bytes_of_the_embedded_run(
    inputs: Inputs, config: Config, embedded: Replayed, kafka_prefix: str
) -> None:
    async def play() -> None:
        async with LogWriter(config.kafka.bootstrap) as writer:
            await ingest(entries(inputs, PARTITIONS), writer, prefix=kafka_prefix)

    asyncio.run(play())
    topic = topic_name("in", kafka_prefix)
    source = log_source(f"kafka://{topic}?from=2000-01-01T00:00:00Z")
    assert source is not None
    through = replay_log(source, config)
    assert through.results.digests == embedded.results.digests
    assert through.run["patients"] == len({r.patient_id for r in inputs.recordings})
    with pytest.raises(SourceError, match="no record"):
        replay_log(LogSource(topic, 0, 946_684_800_000_000), config)
