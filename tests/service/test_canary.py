"""The canary: what it sends is watched by the real engine, and its silence is noticed."""

from __future__ import annotations

import contextlib

import pytest

from alerts.alert import Phase
from service.build import build_engine
from service.canary import Canary
from service.config import Config, KafkaConfig
from service.selection import Selection
from streams.codec import decode, encode
from streams.partition import partition_of
from streams.records import CANARY, Chunk, LogRecord, Record, SignalBundle, Tick
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import Vigil, fetch, free_ports, wait_until
from tests.service.emitters.emitter_kit import raised

S = 1_000_000
START_US = 1_750_000_000 * S
WHERE = partition_of(CANARY, PARTITIONS)


def test_every_minute_it_is_scored_and_its_alert_moves() -> None:
    engine = build_engine(Config(kafka=KafkaConfig(partitions=PARTITIONS)))
    canary, offset, moved = Canary(60 * S, START_US), 0, []
    for second in range(0, 600, 5):
        now_us = START_US + second * S
        song: list[Record] = [
            SignalBundle((r,)) if isinstance(r, Chunk) else r for r in canary.due(now_us)
        ]
        records: list[LogRecord] = []
        for record in [*song, Tick(now_us)]:
            records.append(decode(encode(record), WHERE, offset, now_us))
            assert not records[-1].rejected
            offset += 1
        for output in engine.feed(records).messages:
            assert output.topic != "dlq", output.value
            if output.topic == "scores":
                canary.heard_score(output.append_us)
            elif output.topic == "alerts":
                canary.heard_alert(output.append_us, now_us)
                moved.append(output.key)
        if second > 150:
            assert canary.age_s(now_us) <= 100, second
    assert len(moved) >= 9  # one a minute at least


def test_a_worker_that_stops_is_noticed() -> None:
    canary = Canary(60 * S, START_US)
    canary.due(START_US)
    canary.heard_alert(START_US, START_US + S)
    canary.heard_score(START_US)
    assert canary.round_trip_s == 1.0
    assert canary.age_s(START_US + 200 * S) == 200.0


@pytest.mark.parametrize("what", ["heard_alert", "heard_score"])
def test_a_score_without_an_alert_or_an_alert_without_a_score_is_not_enough(what: str) -> None:
    canary = Canary(60 * S, START_US)
    now_us = START_US + 300 * S
    if what == "heard_alert":
        canary.heard_alert(now_us, now_us)
    else:
        canary.heard_score(now_us)
    assert canary.age_s(now_us) == 300.0


def test_it_sings_once_a_minute_and_leaves_no_gap_in_its_samples() -> None:
    canary, chunks = Canary(60 * S, START_US), []
    for second in range(0, 400):
        chunks += [r for r in canary.due(START_US + second * S) if isinstance(r, Chunk)]
    assert len(chunks) == 7
    ends = [c.first_sample + len(c.data) // 2 for c in chunks]
    assert [c.first_sample for c in chunks[1:]] == ends[:-1]


def test_nobody_is_called_for_the_canary_unless_they_ask_for_it() -> None:
    event = raised(subject=CANARY, phase=Phase.RAISED)
    assert not Selection().wants(event)
    assert Selection(patients=(CANARY,)).wants(event)


@pytest.mark.broker
@pytest.mark.slow
def test_on_a_real_broker_it_is_heard_and_missed_when_the_worker_is_gone(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    (port,) = free_ports(1)
    vigil.configure(
        kafka={
            **{"bootstrap": kafka_bootstrap, "prefix": kafka_prefix},
            **{"partitions": PARTITIONS, "group": kafka_prefix},
        },
        worker={"http_port": -1, "instance": "w1"},
        watch={"canary_s": 10.0, "http_port": port},
        timing={"lateness_s": 1.0, "wait_s": 3.0},
    )
    worker = vigil.start("run")
    vigil.start("watch")

    def shown(name: str) -> float:
        with contextlib.suppress(OSError):
            page = fetch(f"http://127.0.0.1:{port}/metrics")[1]
            (line,) = [x for x in page.splitlines() if x.startswith(f"{name} ")]
            return float(line.split()[1])
        return -1.0  # the watch has not started

    def age_s() -> float:
        return shown("vigil_canary_age_seconds")

    def trip_s() -> float:
        return shown("vigil_canary_round_trip_seconds")

    wait_until(lambda: trip_s() > 0 and age_s() < 25, 90, "the canary is heard")
    worker.stop()
    wait_until(lambda: age_s() > 35, 60, "the canary is missed")
