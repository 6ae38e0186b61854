"""Features, scores and alerts from their topics to the database, each row once.

Not here: Kafka (a `Consumer` is given) and SQL (`streams.io.store`). The sink is a consumer group
of its own: while the database is down it waits, and no alert waits with it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import msgspec

from streams.errors import BrokerError, StoreError
from streams.io.store_rows import AlertRecord, FeatureRecord, ScoreRecord
from streams.io.timescale import RefusedRows
from streams.records import Reason

_LOG = logging.getLogger(__name__)
_RETRY_S = 1.0
_T = TypeVar("_T")

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Int32 = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Time = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Message(NamedTuple):
    """One message of an output topic."""

    topic: str
    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class Consumer(Protocol):
    """What the sink needs of Kafka; either method may be a coroutine.

    `poll` waits at most about a second. `commit` commits everything polled so far.
    """

    def poll(self) -> Sequence[Message] | Awaitable[Sequence[Message]]:
        """Messages since the last poll, in order per partition; may be empty."""
        ...

    def commit(self) -> Awaitable[None] | None:
        """Commit the offsets of everything that `poll` has returned."""
        ...


class OutputStore(Protocol):
    """Where rows go; writing one twice changes nothing. `streams.io.store.Store` is one."""

    def write_features(self, rows: Sequence[FeatureRecord]) -> int:
        """Write feature rows."""
        ...

    def write_scores(self, rows: Sequence[ScoreRecord]) -> int:
        """Write scores."""
        ...

    def write_alerts(self, rows: Sequence[AlertRecord]) -> int:
        """Write alert events."""
        ...


class SinkSpec(NamedTuple):
    """When a batch is written: `streaming.md` §8."""

    rows: int = 5_000
    age_s: float = 1.0


# Only the fields that become columns: a message may grow fields without stopping the sink.
class _Feature(msgspec.Struct):
    patient_id: _Id
    window: _Id
    start_us: _Time
    end_us: _Time
    known_us: _Time
    revision: _Int32

    def row(self, record: bytes) -> FeatureRecord:
        times = (self.start_us, self.end_us, self.known_us)
        return FeatureRecord(self.patient_id, self.window, *times, self.revision, record)


class _Score(msgspec.Struct):
    patient_id: _Id
    scorer: _Id
    model: _Id
    start_us: _Time
    end_us: _Time
    known_us: _Time
    revision: _Int32
    value: float | None

    def row(self, record: bytes) -> ScoreRecord:
        keys = (self.patient_id, self.scorer, self.model)
        times = (self.start_us, self.end_us, self.known_us)
        return ScoreRecord(*keys, *times, self.revision, self.value, record)


class _Alert(msgspec.Struct):
    occurrence_id: _Id
    seq: _Int32
    phase: _Id
    subject: _Id
    priority: _Id
    recorded_us: _Time

    def row(self, record: bytes) -> AlertRecord:
        keys = (self.occurrence_id, self.seq, self.phase, self.subject, self.priority)
        return AlertRecord(*keys, self.recorded_us, record)


_DECODERS: dict[str, msgspec.json.Decoder[_Feature | _Score | _Alert]] = {
    "features": msgspec.json.Decoder(_Feature),
    "scores": msgspec.json.Decoder(_Score),
    "alerts": msgspec.json.Decoder(_Alert),
}


class Sink:
    """Collects rows and writes them; a message it cannot use is told, counted and passed by.

    Invariant: after `flush` returned, everything added before is committed in the database or
    was given to `on_rejected`. If it raised, flush again: nothing is lost and nothing doubled.
    """

    def __init__(
        self,
        store: OutputStore,
        on_rejected: Callable[[Message, Reason, str], None],
        spec: SinkSpec | None = None,
    ) -> None:
        self.spec = spec or SinkSpec()
        self.written: Counter[str] = Counter()  # rows that were new, by kind
        self.rejected: Counter[str] = Counter()  # messages, by reason
        self._on_rejected = on_rejected
        # Alerts first: when the database comes back they are what people look for.
        self._write: dict[str, Callable[[Sequence[Any]], int]] = {
            "alerts": store.write_alerts,
            "scores": store.write_scores,
            "features": store.write_features,
        }
        self._rows: dict[str, list[tuple[Message, Any]]] = {kind: [] for kind in self._write}
        self._oldest_s: float | None = None

    @property
    def pending(self) -> int:
        """Rows collected and not yet written."""
        return sum(len(rows) for rows in self._rows.values())

    def add(self, messages: Sequence[Message], now_s: float) -> None:
        """Take messages; `now_s` is any steady clock."""
        for message in messages:
            kind = _kind(message.topic)
            if kind is None:
                self._reject(message, Reason.UNKNOWN_KIND, "not a topic this sink writes")
                continue
            value = message.value or b""
            try:
                row = _DECODERS[kind].decode(value).row(value)
            except msgspec.ValidationError:
                self._reject(message, Reason.BAD_FIELD, "a key field is missing or wrong")
                continue
            except (ValueError, RecursionError):
                self._reject(message, Reason.UNDECODABLE, "not JSON")
                continue
            self._rows[kind].append((message, row))
        if messages and self._oldest_s is None:
            self._oldest_s = now_s

    def due(self, now_s: float) -> bool:
        """Whether it is time to flush: enough rows, or messages old enough to be committed."""
        old = self._oldest_s is not None and now_s - self._oldest_s >= self.spec.age_s
        return old or self.pending >= self.spec.rows

    def flush(self) -> None:
        """Write everything pending, alerts first.

        Raises
        ------
        StoreError
            The database is in trouble; what was not written is still pending.
        """
        for kind, rows in self._rows.items():
            while rows:
                batch = rows[: self.spec.rows]
                self._write_some(kind, batch)
                del rows[: len(batch)]
        self._oldest_s = None

    def _write_some(self, kind: str, batch: list[tuple[Message, Any]]) -> None:
        """Write a batch; if the database refuses it, find the rows at fault by halving."""
        try:
            self.written[kind] += self._write[kind]([row for _, row in batch])
        except RefusedRows as refused:
            if len(batch) == 1:
                self._reject(batch[0][0], Reason.BAD_FIELD, str(refused))
                return
            half = len(batch) // 2
            self._write_some(kind, batch[:half])
            self._write_some(kind, batch[half:])

    def _reject(self, message: Message, reason: Reason, detail: str) -> None:
        self.rejected[reason.value] += 1
        self._on_rejected(message, reason, detail)


async def run_sink(
    consumer: Consumer,
    sink: Sink,
    stopped: Callable[[], bool],
    retry_s: float = _RETRY_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Poll, write, commit, until `stopped()`; offsets only ever follow the database's commit.

    While the database is down the same batch is tried again and nothing is polled, so memory is
    bounded and the topic keeps the rest. A crash at any point repeats rows that are there already.

    Raises
    ------
    StoreError
        One that waiting will not cure (no schema, login refused).
    """
    while not stopped():
        messages = await _settled(consumer.poll())
        sink.add(messages, clock())
        if sink.due(clock()):
            await _flush(consumer, sink, stopped, retry_s)
    await _flush(consumer, sink, stopped, retry_s)


async def _flush(
    consumer: Consumer, sink: Sink, stopped: Callable[[], bool], retry_s: float
) -> None:
    while True:
        try:
            # In a thread: the event loop has to go on answering the broker's heartbeats.
            await asyncio.to_thread(sink.flush)
            break
        except StoreError as fault:
            if not fault.retriable:
                raise
            _LOG.warning("sink waits with %d rows: %s", sink.pending, fault)
        if stopped():
            return  # not committed: the rows come again after the restart
        await asyncio.sleep(retry_s)
    try:
        await _settled(consumer.commit())
    except BrokerError as fault:
        if not fault.retriable:
            raise
        _LOG.warning("sink could not commit, rows will come again: %s", fault)


async def _settled(result: _T | Awaitable[_T]) -> _T:
    """Result of a call that may or may not be a coroutine."""
    if inspect.isawaitable(result):
        return await result
    return result


def _kind(topic: str) -> str | None:
    """Short name of an output topic, whatever its prefix: ``vigil.scores.v1`` is scores."""
    parts = topic.split(".")
    kind = parts[-2] if len(parts) >= 3 else ""
    return kind if kind in _DECODERS else None
