"""The courier: nothing lost, order per occurrence kept, one row per attempt, however it fails."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import AlertEvent, Priority
from alerts.envelope import alert_value
from service.audit import verify
from service.delivery import Clock, Courier
from service.delivery_log import DeliveryLog
from service.emitters import webhook
from service.emitters.contract import Content, HttpRequest, Outcome, Result
from service.emitters.http import HttpSender
from service.emitters.registry import Emitter
from service.emitters.spec import WebhookSpec
from streams.io.kafka_log import Stored
from streams.io.kafka_tracked import Place
from streams.partition import partition_of
from tests.service.emitters.emitter_kit import Listener, Request, life, raised

TOPIC = "vigil.alerts.v1"
SPEC = WebhookSpec(url="http://h/", secret_env="X", retry_first_s=0.5, retry_last_s=30.0)


class Log:
    """A partitioned log and one member that reads it from where it committed."""

    def __init__(self, events: list[AlertEvent], partitions: int = 4) -> None:
        self.rows: list[Stored] = []
        ends: dict[int, int] = defaultdict(int)
        for event in events:
            part = partition_of(event.subject, partitions)
            self.rows.append(Stored(TOPIC, part, ends[part], 0, b"k", alert_value(event), ()))
            ends[part] += 1
        self.places = frozenset(Place(TOPIC, part) for part in ends)
        self.committed: dict[Place, int] = dict.fromkeys(self.places, 0)
        self._read = 0
        self._from: dict[Place, int] = {}
        self.rejoin()

    def rejoin(self) -> None:
        """A new member: reads again what was not committed."""
        self._read, self._from = 0, dict(self.committed)

    def owned(self) -> frozenset[Place]:
        return self.places

    async def poll(self) -> list[Stored]:
        await asyncio.sleep(0.001)
        part, self._read = self.rows[self._read : self._read + 50], self._read + 50
        return [r for r in part if r.offset >= self._from[Place(r.topic, r.partition)]]

    async def commit(self, done: dict[Place, int]) -> None:
        self.committed.update(done)

    def all_done(self) -> bool:
        ends: dict[Place, int] = defaultdict(int)
        for row in self.rows:
            ends[Place(row.topic, row.partition)] = row.offset + 1
        return ends == self.committed


class Fake:
    """A target that answers from a list, then takes everything."""

    def __init__(self, answers: Iterable[Result] = ()) -> None:
        self.answers, self.posted = iter(answers), 0
        self.taken: list[bytes] = []

    async def post(self, content: Content) -> Outcome:
        assert isinstance(content, HttpRequest)
        self.posted += 1
        await asyncio.sleep(0)
        result = next(self.answers, Result.DELIVERED)
        if result is Result.DELIVERED:
            self.taken.append(content.body)
        return Outcome(result, "fake")

    async def close(self) -> None:
        pass


class Heard:
    """What the courier tells."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.confirmed: list[str] = []

    def attempted(self, result: str) -> None:
        self.results.append(result)

    def delivered(self, event: AlertEvent, at_us: int) -> None:
        self.confirmed.append(event.event_id)

    def waiting(self, events: int, oldest_us: int | None) -> None:
        pass


def fast(times: float = 1000.0) -> Clock:
    """Time that passes so many times faster."""
    began = time.monotonic()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / times)

    return Clock(lambda: round((time.monotonic() - began) * times * 1e6), sleep)


def deliver(
    log: Log, sender: Any, path: Path, until: Callable[[], bool], **options: Any
) -> tuple[DeliveryLog, Heard]:
    """Run a courier until something holds (10 s at most)."""
    spec, clock = options.get("spec", SPEC), options.get("clock", fast())
    journal, heard = DeliveryLog(path, "t"), Heard()
    mapper = options.get("mapper", webhook.mapper("http://h/", "k"))
    ends = time.monotonic() + 10

    async def main() -> None:
        courier = Courier(Emitter(mapper, sender), spec, journal, heard, clock)
        await courier.run(log, lambda: until() or time.monotonic() > ends)

    try:
        asyncio.run(main())
    finally:
        journal.close()
    return journal, heard


def rows_of(path: Path) -> list[dict[str, Any]]:
    import msgspec

    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def sequences(bodies: list[bytes]) -> dict[str, list[int]]:
    import msgspec

    found: dict[str, list[int]] = defaultdict(list)
    for body in bodies:
        data = msgspec.json.decode(body)["data"]
        found[data["occurrence_id"]].append(data["seq"])
    return found


def ward(lives: int) -> list[AlertEvent]:
    """Lives of several patients, interleaved as a log has them."""
    queues = [life(f"occ-{n}", f"p{n}") for n in range(lives)]
    mixer, events = random.Random(7), []
    while queues:
        queue = mixer.choice(queues)
        events.append(queue.pop(0))
        queues = [each for each in queues if each]
    return events


@settings(max_examples=12)
@given(
    answers=st.lists(st.sampled_from([Result.AWAY, Result.FAILED]), max_size=25),
    lives=st.integers(1, 12),
)
def test_whatever_the_target_answers_everything_arrives_once_in_order_with_a_row_each(
    tmp_path_factory: pytest.TempPathFactory, answers: list[Result], lives: int
) -> None:
    path = tmp_path_factory.mktemp("d") / "log.jsonl"
    log, sender = Log(ward(lives)), Fake(iter(answers))
    _, heard = deliver(log, sender, path, lambda: len(sender.taken) == 4 * lives)
    assert sequences(sender.taken) == {f"occ-{n}": [1, 2, 3, 4] for n in range(lives)}
    attempts = [row for row in rows_of(path) if row["kind"] == "attempt"]
    assert len(attempts) == sender.posted == len(heard.results)
    assert len(heard.confirmed) == 4 * lives
    assert log.all_done()
    assert verify(path).faults == ()


def test_a_refusal_is_believed_told_and_passed_by(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, sender = Log(life("occ-1")), Fake(iter([Result.REFUSED]))
    _, heard = deliver(log, sender, tmp_path / "log", lambda: len(sender.taken) == 3)
    assert sequences(sender.taken) == {"occ-1": [2, 3, 4]}
    assert heard.results.count("refused") == 1
    assert "refused event occ-1:1" in caplog.text
    assert log.all_done()


def test_an_event_the_target_always_fails_on_is_given_up_loudly_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Poisoned(Fake):
        async def post(self, content: Content) -> Outcome:
            assert isinstance(content, HttpRequest)
            if b'"occurrence_id":"bad"' in content.body:
                self.posted += 1
                return Outcome(Result.FAILED, "HTTP 500")
            return await super().post(content)

    log, sender = Log([raised("bad"), *life("good", "p2")]), Poisoned()
    spec = WebhookSpec(url="http://h/", secret_env="X", give_up_s=20.0)
    _, heard = deliver(
        log,
        sender,
        tmp_path / "log",
        lambda: "given_up" in caplog.text or log.all_done(),
        spec=spec,
    )
    assert sequences(sender.taken) == {"good": [1, 2, 3, 4]}
    assert "event bad:1 is given up" in caplog.text
    assert heard.results.count("given_up") == 1
    assert log.all_done()


def test_while_the_target_is_away_one_attempt_at_a_time_is_made(tmp_path: Path) -> None:
    log = Log(ward(40))
    sender = Fake(iter([Result.AWAY] * 30))
    deliver(log, sender, tmp_path / "log", lambda: len(sender.taken) == 160)
    assert sender.posted <= 160 + 30


def test_after_a_crash_what_was_delivered_is_not_sent_again(tmp_path: Path) -> None:
    log, sender, path = Log(ward(5)), Fake(), tmp_path / "log"
    deliver(log, sender, path, lambda: len(sender.taken) >= 7)
    log.committed = dict.fromkeys(log.places, 0)  # the commits were lost with the process
    log.rejoin()
    deliver(log, sender, path, log.all_done)
    assert sequences(sender.taken) == {f"occ-{n}": [1, 2, 3, 4] for n in range(5)}


def test_only_what_is_wanted_is_sent_and_the_rest_is_committed(tmp_path: Path) -> None:
    events = [raised("a"), raised("b", priority=Priority.LOW)]
    log, sender = Log(events), Fake()
    spec = WebhookSpec(url="http://h/", secret_env="X", priorities=("high",))
    deliver(log, sender, tmp_path / "log", log.all_done, spec=spec)
    assert list(sequences(sender.taken)) == ["a"]


def test_what_is_no_event_is_told_and_passed_by(tmp_path: Path) -> None:
    log, sender = Log([raised("a")]), Fake()
    log.rows.insert(0, log.rows[0]._replace(value=b"\xff", offset=0))
    log.rows[1] = log.rows[1]._replace(offset=1)
    deliver(log, sender, tmp_path / "log", lambda: bool(sender.taken))
    assert next(iter(rows_of(tmp_path / "log")))["kind"] == "unreadable"


def test_partitions_that_move_away_are_not_delivered_here(tmp_path: Path) -> None:
    log = Log(ward(12))
    sender, own = Fake(iter([Result.AWAY] * 8)), sorted(log.places)
    assert len(own) > 1
    kept, left = own[0], own[1:]

    def shrink() -> bool:
        if sender.posted > 3:
            log.places = frozenset([kept])
        return log.committed[kept] == sum(row.partition == kept.partition for row in log.rows)

    deliver(log, sender, tmp_path / "log", shrink)
    assert [log.committed[place] for place in left] == [0] * len(left)
    assert len(sender.taken) == log.committed[kept]


@pytest.mark.slow
def test_a_listener_down_for_ten_minutes_loses_nothing(tmp_path: Path, listener: Listener) -> None:
    """Time runs 120 times faster: 5 s here are the 10 minutes."""
    events = ward(30)
    log, path = Log(events), tmp_path / "log"
    clock = fast(120.0)
    down: list[int] = []
    seen: set[str] = set()

    def answer(request: Request) -> tuple[int, dict[str, str]]:
        seen.add(request.headers["idempotency-key"])
        return 202, {}

    listener.answer = answer

    def going() -> bool:
        if len(seen) >= 40 and not down:
            listener.down()
            down.append(clock.now_us())
        if down and len(down) == 1 and clock.now_us() - down[0] > 600 * 1_000_000:
            listener.up()
            down.append(clock.now_us())
        return log.all_done()

    spec = WebhookSpec(url="http://h/", secret_env="X")
    sender = HttpSender(2.0)
    mapper = webhook.mapper(f"{listener.url}/", "k")
    _, heard = deliver(log, sender, path, going, spec=spec, clock=clock, mapper=mapper)
    assert len(down) == 2
    assert log.all_done()
    bodies = [request.body for request in listener.requests]
    # A connection that was cut may have carried an event whose answer was lost: it comes twice.
    once = {name: sorted(set(seqs)) for name, seqs in sequences(bodies).items()}
    assert once == {f"occ-{n}": [1, 2, 3, 4] for n in range(30)}
    assert all(seqs == sorted(seqs) for seqs in sequences(bodies).values())
    rows = rows_of(path)
    attempts = [row for row in rows if row["kind"] == "attempt"]
    outcomes = [row for row in rows if row["kind"] == "outcome"]
    assert len(attempts) == len(outcomes) == len(heard.results)
    assert sum(row["result"] == "delivered" for row in outcomes) == len(events)
    assert len(events) <= len(bodies) <= len(events) + 4
    away = sum(row["result"] == "away" for row in outcomes)
    assert 15 <= away <= 45  # one at a time, at most every 30 s, in ten minutes
    assert verify(path).faults == ()
