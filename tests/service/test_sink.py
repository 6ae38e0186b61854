"""The sink: rows once, offsets after rows, bad messages told and passed by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import psycopg
import pytest

from service.sink import Message, Sink, SinkSpec, run_sink
from streams.errors import BrokerError, StoreError
from streams.io.store import Store
from streams.io.timescale import RefusedRows
from streams.records import Reason

T_US = 1_709_287_200_000_000


def feature(number: int, **changes: object) -> Message:
    end_us = T_US + number * 10_000_000
    body = {
        "patient_id": "p1",
        "window": "60s",
        "start_us": end_us - 60_000_000,
        "end_us": end_us,
        "known_us": end_us + 1,
        "revision": 0,
        "values": {"ecg_hr_bpm": 61.5, "ecg_sdnn_ms": None},
        "quality": {},
        "coverage": {},
        "reason": {"ecg_sdnn_ms": "gap"},
    }
    return message("vigil.features.v1", number, {**body, **changes})


def score(number: int, **changes: object) -> Message:
    body = {
        "patient_id": "p1",
        "scorer": "news2",
        "model": "news2/1",
        "start_us": T_US,
        "end_us": T_US + number,
        "known_us": T_US + number,
        "revision": 0,
        "value": 5,
        "evidence": [],
    }
    return message("vigil.scores.v1", number, {**body, **changes})


def alert(number: int, **changes: object) -> Message:
    body = {
        "occurrence_id": "o1",
        "seq": number,
        "phase": "raised",
        "subject": "p1",
        "priority": "high",
        "recorded_us": T_US,
        "text": {"summary": "NEWS2 7"},
    }
    return message("vigil.alerts.v1", number, {**body, **changes})


def message(topic: str, offset: int, body: object) -> Message:
    return Message(topic, 0, offset, [], json.dumps(body).encode())


class Memory:
    """A store in memory with the same promise, and trouble on demand."""

    def __init__(self, *trouble: Exception) -> None:
        self.rows: dict[object, object] = {}
        self.calls: list[int] = []
        self.trouble = list(trouble)
        self.poison: set[object] = set()

    def _write(self, rows: Sequence[object]) -> int:
        self.calls.append(len(rows))
        if self.trouble:
            raise self.trouble.pop(0)
        if any(row[:2] in self.poison for row in rows):  # type: ignore[index]
            raise RefusedRows("database x: cannot write: a value breaks a rule")
        before = len(self.rows)
        self.rows.update((row[:-1], row) for row in rows)  # type: ignore[index]
        return len(self.rows) - before

    write_features = write_scores = write_alerts = _write


class Topics:
    """A consumer over a list of polls; remembers what is committed."""

    def __init__(self, polls: Sequence[Sequence[Message]], store: Memory | None = None) -> None:
        self.polls = list(polls)
        self.polled = 0
        self.committed: list[int] = []
        self.store = store
        self.rows_at_commit: list[int] = []

    def poll(self) -> Sequence[Message]:
        messages = self.polls.pop(0) if self.polls else []
        self.polled += len(messages)
        return messages

    def commit(self) -> None:
        self.committed.append(self.polled)
        if self.store is not None:
            self.rows_at_commit.append(len(self.store.rows))

    def done(self) -> bool:
        return not self.polls


class AsyncTopics(Topics):
    async def poll(self) -> Sequence[Message]:  # type: ignore[override]
        return super().poll()

    async def commit(self) -> None:  # type: ignore[override]
        super().commit()


def never(message: Message, reason: Reason, detail: str) -> None:
    pytest.fail(f"unexpected rejection: {reason} {detail}")


def run(consumer: Topics, sink: Sink) -> None:
    asyncio.run(run_sink(consumer, sink, consumer.done, retry_s=0.0))


@pytest.mark.parametrize("kind", [Topics, AsyncTopics])
def test_offsets_are_committed_only_after_the_rows(kind: type[Topics]) -> None:
    store = Memory()
    consumer = kind([[alert(n)] for n in range(6)], store)
    run(consumer, Sink(store, never, SinkSpec(rows=2)))
    assert consumer.committed == [2, 4, 6, 6]
    assert consumer.rows_at_commit == [2, 4, 6, 6]


def test_a_batch_is_due_by_rows_or_by_age() -> None:
    sink = Sink(Memory(), never, SinkSpec(rows=3, age_s=1.0))
    assert not sink.due(100.0)
    sink.add([alert(1)], 100.0)
    sink.add([alert(2)], 100.9)
    assert not sink.due(100.99)
    assert sink.due(101.0)
    sink.add([alert(3)], 100.95)
    assert sink.due(100.95)
    sink.flush()
    assert not sink.due(200.0)
    assert sink.pending == 0


def test_a_batch_never_holds_more_rows_than_the_limit() -> None:
    store = Memory()
    sink = Sink(store, never, SinkSpec(rows=10))
    sink.add([alert(n) for n in range(25)], 0.0)
    sink.flush()
    assert store.calls == [10, 10, 5]


def test_alerts_are_written_before_scores_and_features() -> None:
    store = Memory()
    sink = Sink(store, never)
    sink.add([feature(1), score(1), alert(1)], 0.0)
    sink.flush()
    assert [type(row).__name__ for row in store.rows.values()] == [
        "AlertRecord",
        "ScoreRecord",
        "FeatureRecord",
    ]


def test_while_the_database_is_down_nothing_is_polled_or_committed() -> None:
    store = Memory(*(StoreError("down") for _ in range(4)))
    consumer = Topics([[alert(1)], [alert(2)]], store)
    run(consumer, Sink(store, never, SinkSpec(rows=1)))
    assert store.calls[:5] == [1, 1, 1, 1, 1]
    assert consumer.rows_at_commit[0] == 1
    assert len(store.rows) == 2


def test_stopping_while_the_database_is_down_commits_nothing() -> None:
    store = Memory(*(StoreError("down") for _ in range(9)))
    consumer = Topics([[alert(1)]], store)
    run(consumer, Sink(store, never, SinkSpec(rows=1)))
    assert consumer.committed == []


def test_trouble_that_will_not_pass_ends_the_sink() -> None:
    fault = StoreError("no schema")
    fault.retriable = False
    consumer = Topics([[alert(1)]])
    with pytest.raises(StoreError, match="no schema"):
        run(consumer, Sink(Memory(fault), never))
    assert consumer.committed == []


def test_a_commit_the_broker_refuses_is_repaired_by_the_next() -> None:
    class Flaky(Topics):
        def commit(self) -> None:
            if not self.committed:
                self.committed.append(-1)
                raise BrokerError("rebalancing")
            super().commit()

    consumer = Flaky([[alert(1)], [alert(2)]])
    run(consumer, Sink(Memory(), never, SinkSpec(rows=1)))
    assert consumer.committed == [-1, 2, 2]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Message("vigil.alerts.v1", 0, 1, [], b"\xff\xfe"), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], b'{"occurrence_id": "\xff"}'), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], alert(1).value[:-9]), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], b'{"a":' * 100_000), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], b""), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], None), Reason.UNDECODABLE),
        (Message("vigil.alerts.v1", 0, 1, [], b"[]"), Reason.BAD_FIELD),
        (Message("vigil.alerts.v1", 0, 1, [], b"{}"), Reason.BAD_FIELD),
        (alert(1, seq="1"), Reason.BAD_FIELD),
        (alert(2**31), Reason.BAD_FIELD),
        (alert(-1), Reason.BAD_FIELD),
        (alert(1, subject=""), Reason.BAD_FIELD),
        (alert(1, subject="s" * 10_000), Reason.BAD_FIELD),
        (alert(1, recorded_us=2**70), Reason.BAD_FIELD),
        (feature(1, window=None), Reason.BAD_FIELD),
        (feature(1, end_us=1.5), Reason.BAD_FIELD),
        (score(1, value="high"), Reason.BAD_FIELD),
        (message("vigil.in.v1", 1, {}), Reason.UNKNOWN_KIND),
        (message("alerts", 1, {}), Reason.UNKNOWN_KIND),
    ],
)
def test_a_malformed_message_is_told_and_its_neighbours_are_written(
    bad: Message, reason: Reason
) -> None:
    told: list[tuple[Message, Reason]] = []
    store = Memory()
    sink = Sink(store, lambda message, why, detail: told.append((message, why)))
    consumer = Topics([[alert(7), bad, feature(7)]])
    run(consumer, sink)
    assert told == [(bad, reason)]
    assert sink.rejected == {reason.value: 1}
    assert len(store.rows) == 2
    assert consumer.committed[-1] == 3


def test_a_topic_of_nothing_but_junk_is_still_committed() -> None:
    sink = Sink(Memory(), lambda *_: None, SinkSpec(age_s=0.0))
    consumer = Topics([[message("vigil.alerts.v1", n, {})] for n in range(3)])
    run(consumer, sink)
    assert consumer.committed == [1, 2, 3, 3]


def test_a_row_the_database_refuses_is_found_among_thousands() -> None:
    store = Memory()
    store.poison = {("o1", 777), ("o1", 3_000)}
    told: list[int] = []
    sink = Sink(store, lambda message, reason, detail: told.append(message.offset))
    sink.add([alert(n) for n in range(5_000)], 0.0)
    sink.flush()
    assert told == [777, 3_000]
    assert len(store.rows) == 4_998
    assert len(store.calls) < 60


@pytest.mark.database
def test_the_same_messages_twice_leave_the_same_rows(any_store: Store) -> None:
    messages = [make(n) for n in range(300) for make in (feature, score, alert)]
    for new in (300, 0):
        sink = Sink(any_store, never)
        run(Topics([messages[:500], messages[500:]]), sink)
        assert dict(sink.written) == {"features": new, "scores": new, "alerts": new}
    assert any_store.counts() == {
        "clinical_events": 0,
        "features": 300,
        "scores": 300,
        "alerts": 300,
    }


@pytest.mark.database
def test_the_message_is_kept_whole(store: Store, database_dsn: str) -> None:
    run(Topics([[feature(1), score(1), alert(1)]]), Sink(store, never))
    with psycopg.connect(database_dsn) as connection:
        for table, sent in (("features", feature(1)), ("scores", score(1)), ("alerts", alert(1))):
            found = connection.execute(f"SELECT record FROM {table}").fetchone()
            assert found == (json.loads(sent.value or b""),)


@pytest.mark.database
def test_json_that_postgresql_cannot_hold_is_refused_alone(any_store: Store) -> None:
    """A NUL in a string and a number beyond numeric: valid JSON, impossible as jsonb."""
    huge = Message(
        "vigil.alerts.v1", 0, 4, [], (alert(4).value or b"{}")[:-1] + b', "x": 1e200000}'
    )
    deep = b"[" * 900 + b"]" * 900
    nested = Message(
        "vigil.alerts.v1", 0, 5, [], (alert(5).value or b"")[:-1] + b', "x": ' + deep + b"}"
    )
    messages = [
        alert(1),
        alert(2, text="a\x00b"),
        alert(3, subject="p\x00"),
        huge,
        nested,
        alert(6),
    ]
    told: list[int] = []
    sink = Sink(any_store, lambda message, reason, detail: told.append(message.offset))
    run(Topics([messages]), sink)
    assert told == [2, 3, 4]
    assert any_store.counts()["alerts"] == 3


@pytest.mark.database
def test_a_sink_whose_line_is_killed_every_flush_writes_every_row_once(
    any_store: Store, any_edition_dsn: str
) -> None:
    class Killing(Topics):
        def commit(self) -> None:
            super().commit()
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'vigil' AND datname = current_database()"
            )

    with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
        consumer = Killing([[alert(n), feature(n)] for n in range(8)])
        run(consumer, Sink(any_store, never, SinkSpec(rows=2)))
        counts = any_store.counts()
    assert (counts["alerts"], counts["features"]) == (8, 8)
    assert len(consumer.committed) == 9
