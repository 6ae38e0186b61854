"""Receipts and heartbeats: a lapse is told once, its end once, and never without cause."""

from __future__ import annotations

import asyncio

import pytest

from alerts.alert import Condition, ConditionRef, Kind, Phase, Priority
from alerts.envelope import alert_value
from service.config import Config, KafkaConfig, WatchConfig
from service.heartbeat import Heartbeat, HeartbeatWatch, heartbeat_value, parse_heartbeat
from service.heartbeat_host import Beating
from service.receipts import (
    Lapse,
    ReceiptWatch,
    WatchRules,
    check_consumer,
    lapse_command,
    receipt_of,
    receipt_value,
)
from service.watch import Watch
from streams.errors import ConfigError
from streams.io.kafka_log import Stored
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.topics import topic_name
from tests.fixtures_services import Vigil, wait_until
from tests.service.emitters.emitter_kit import axes, raised, step

S = 1_000_000
RULES = WatchRules(("pager",), 60 * S)


def test_what_is_confirmed_in_time_is_no_lapse() -> None:
    watch = ReceiptWatch(RULES)
    event = raised("o")
    watch.published(event, 0)
    assert watch.confirmed(receipt_of(event, "pager", 5 * S)) == []
    assert watch.lapses(1000 * S) == []
    assert watch.waiting() == 0


def test_a_lapse_is_told_once_after_its_time_and_ends_with_the_receipt() -> None:
    watch = ReceiptWatch(RULES)
    event = raised("o")
    watch.published(event, 10 * S)
    assert watch.lapses(70 * S) == []
    assert watch.lapses(71 * S) == [Lapse("pager", "p1", 10 * S)]
    assert watch.lapses(500 * S) == []
    assert watch.lapsed() == {"pager": 1}
    over = watch.confirmed(receipt_of(event, "pager", 501 * S))
    assert over == [Lapse("pager", "p1", 10 * S, over=True)]
    assert watch.lapsed() == {"pager": 0}


def test_a_later_receipt_confirms_what_came_before_it() -> None:
    watch = ReceiptWatch(RULES)
    event = raised("o")
    watch.published(event, 0)
    watch.confirmed(receipt_of(step(event, Phase.ESCALATED), "pager", S))
    assert watch.lapses(1000 * S) == []


def test_a_receipt_read_before_its_event_counts() -> None:
    watch = ReceiptWatch(RULES)
    watch.confirmed(receipt_of(raised("o"), "pager", S))
    watch.published(raised("o"), 0)
    assert watch.lapses(1000 * S) == []


def test_a_lapse_lasts_while_another_alert_of_the_patient_is_unconfirmed() -> None:
    watch = ReceiptWatch(RULES)
    one, two = raised("o1"), raised("o2")
    watch.published(one, 0)
    watch.published(two, 0)
    assert len(watch.lapses(100 * S)) == 1
    assert watch.confirmed(receipt_of(one, "pager", 101 * S)) == []
    assert len(watch.confirmed(receipt_of(two, "pager", 102 * S))) == 1


def test_only_what_rings_must_be_confirmed_and_never_the_lapse_s_own_alert() -> None:
    watch = ReceiptWatch(RULES)
    own = ConditionRef("delivery_lost:pager", "Delivery lost")
    for event in (
        raised("a", phase=Phase.UPDATED),
        raised("b", priority=Priority.LOW),
        raised("c", condition=own, kind=Kind.TECHNICAL),
    ):
        watch.published(event, 0)
    assert watch.waiting() == 0


def test_a_restarted_watch_knows_the_lapses_it_told_and_ends_them() -> None:
    watch = ReceiptWatch(RULES)
    own = ConditionRef("delivery_lost:pager", "Delivery lost")
    watch.seed([raised("t", condition=own, kind=Kind.TECHNICAL, onset_us=7 * S).record()])
    over = watch.confirmed(receipt_of(raised("o"), "pager", 100 * S))
    assert over == [Lapse("pager", "p1", 7 * S, over=True)]
    gone = raised("t", condition=own, state=axes(condition=Condition.CLEARED))
    fresh = ReceiptWatch(RULES)
    fresh.seed([gone.record()])
    assert fresh.lapsed() == {"pager": 0}


def test_the_command_of_a_lapse_is_the_same_however_often_it_is_made() -> None:
    lapse = Lapse("pager", "p1", 10 * S)
    one, two = lapse_command(lapse, 1), lapse_command(lapse, 2)
    assert one.command_id == two.command_id
    assert one.command_id != lapse_command(lapse._replace(over=True), 1).command_id
    assert (one.action, one.occurrence_id, one.patient_id) == ("lost", "delivery_lost:pager", "p1")
    assert one.event_time_us == 10 * S


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b"])
def test_a_consumer_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigError, match="consumer"):
        check_consumer(name)


def beat(name: str = "w1", parts: tuple[int, ...] = (0, 1), ready: bool = True) -> Heartbeat:
    return Heartbeat(
        instance=name, at_us=0, started_us=0, self_checks=1, ready=ready, partitions=parts, lag_s=0
    )


def test_a_worker_is_silent_after_fifteen_seconds_and_alive_with_its_next_beat() -> None:
    watch = HeartbeatWatch()
    watch.beat(beat(), 0)
    assert watch.silent(15 * S) == []
    assert watch.live(15 * S)
    (change,) = watch.silent(16 * S)
    assert (change.instance, change.partitions, change.alive) == ("w1", (0, 1), False)
    assert watch.silent(17 * S) == []
    assert not watch.live(17 * S)
    (back,) = watch.beat(beat(), 60 * S)
    assert back.alive
    assert back.since_us == 0


def test_a_worker_whose_partitions_beat_elsewhere_was_replaced_not_lost() -> None:
    watch = HeartbeatWatch()
    watch.beat(beat("old", (0, 1)), 0)
    watch.beat(beat("new", (0, 1, 2)), 14 * S)
    assert watch.silent(20 * S) == []
    watch.beat(beat("old", (0, 1, 9)), 21 * S)
    watch.beat(beat("new", (0, 1)), 37 * S)
    (change,) = watch.silent(38 * S)
    assert change.partitions == (9,)


def test_a_worker_that_is_not_ready_does_not_count_as_live() -> None:
    watch = HeartbeatWatch()
    watch.beat(beat(ready=False), 0)
    assert not watch.live(S)
    assert watch.age_s(3 * S) == 3.0
    assert HeartbeatWatch().age_s(S) is None


def test_the_watch_turns_topics_into_commands_on_the_patients_logs() -> None:
    config = Config(kafka=KafkaConfig(partitions=4), watch=WatchConfig(consumers=("pager",)))
    watch = Watch(config)
    part = partition_of("p1", 4)

    def row(short: str, value: bytes, at_s: int) -> Stored:
        return Stored(f"vigil.{short}.v1", part, 0, at_s * S, b"p1", value, ())

    assert watch.hear(row("scores", b"{}", 0), 0) == []
    assert watch.hear(row("alerts", b"\xff", 0), 0) == []  # told, passed by
    watch.hear(row("heartbeat", heartbeat_value(beat(parts=(part,))), 0), 0)
    watch.hear(row("alerts", alert_value(raised("o")), 1), S)
    assert watch.tick(10 * S) == []
    (silent,) = watch.tick(20 * S)
    assert (silent.occurrence_id, silent.action) == ("delivery_lost:heartbeat", "lost")
    (lapse,) = watch.tick(62 * S)
    assert lapse.occurrence_id == "delivery_lost:pager"
    receipt = receipt_value(receipt_of(raised("o"), "pager", 63 * S))
    (over,) = watch.hear(row("receipts", receipt, 63), 63 * S)
    assert over.action == "regained"
    (back,) = watch.hear(row("heartbeat", heartbeat_value(beat(parts=(part,))), 64), 64 * S)
    assert (back.occurrence_id, back.action) == ("delivery_lost:heartbeat", "regained")


class Engine:
    """Vitals by hand."""

    is_ready = True

    def __init__(self, lag_s: float | None = 0.5) -> None:
        self.lag_s = lag_s

    def partitions(self) -> tuple[int, ...]:
        return (0, 3)

    def oldest_frontier_s(self) -> float | None:
        return self.lag_s


def test_a_beat_says_how_the_engine_is_and_counts_its_checks() -> None:
    beating = Beating(Config(), "w1", Engine())
    one, two = beating.beat(1), beating.beat(2)
    assert (one.self_checks, two.self_checks) == (1, 2)
    assert (one.ready, one.partitions, one.lag_s) == (True, (0, 3), 0.5)
    assert not Beating(Config(), "w1", Engine(90.0)).beat(1).ready


@pytest.mark.broker
@pytest.mark.slow
def test_a_worker_beats_on_its_topic(vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str) -> None:
    kafka = {"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 8}
    config = vigil.configure(
        kafka={**kafka, "group": kafka_prefix}, worker={"http_port": -1, "instance": "w-test"}
    )
    vigil.start("run")

    def beats() -> list[Heartbeat]:
        rows = asyncio.run(read_topic(kafka_bootstrap, topic_name("heartbeat", kafka_prefix)))
        return [parse_heartbeat(row.value) for row in rows]

    wait_until(lambda: any(b.ready and b.partitions for b in beats()), 60, "a ready beat")
    last = beats()[-1]
    assert last.instance == "w-test"
    assert set(last.partitions) <= set(range(8))
    assert config.watch.heartbeat_s == 15.0
