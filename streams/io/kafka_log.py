"""Records onto Kafka, and the form they have there. Reading is `streams.io.kafka_read`.

Kafka's own timestamp counts milliseconds; the append time in µs, which results depend on, rides
in a header and wins over the timestamp when both are there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.errors import BrokerError
from streams.io.broker import client_options
from streams.topics import MAX_MESSAGE_BYTES

APPEND_HEADER = "vigil-append-us"  # eight little-endian bytes
# In digits on a CloudEvent: its clients read every header as UTF-8, and eight bytes are not.
APPEND_TEXT_HEADER = "vigil-append-us-text"
_HOPELESS = (MessageSizeTooLargeError, RecordTooLargeError, InvalidTopicError)
_NOT_ALLOWED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
_FIRST_DELAY_S, _LAST_DELAY_S = 0.1, 5.0
REQUEST_TIMEOUT_MS = 15_000
_SURELY_FITS = MAX_MESSAGE_BYTES // 2  # whatever key and headers weigh, within their own limits
_MAX_MS = 2**53  # beyond it the broker's own arithmetic is not ours to test

log = logging.getLogger(__name__)

Headers = Sequence[tuple[str, bytes]]


class Message(NamedTuple):
    """One record to write: where, when, what."""

    topic: str
    partition: int
    append_us: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Stored(NamedTuple):
    """One record as it was read."""

    topic: str
    partition: int
    offset: int
    append_us: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> bytes | None:
        """Value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


def append_us_of(headers: Headers | None, timestamp_ms: int | None) -> int:
    """Append time of a record in µs: the header's where there is one, else the timestamp's.

    Examples
    --------
    >>> append_us_of([("vigil-append-us", (1_234_567).to_bytes(8, "little"))], 1)
    1234567
    >>> append_us_of([("vigil-append-us-text", b"1234567")], 1)
    1234567
    >>> append_us_of(None, 1234)
    1234000
    """
    for name, value in headers or ():
        if name == APPEND_HEADER and value and len(value) == 8:
            return int.from_bytes(value, "little", signed=True)
        if name == APPEND_TEXT_HEADER and value and value.isdigit() and len(value) < 20:
            return int(value)
    return (timestamp_ms or 0) * 1000


class LogWriter:
    """Idempotent producer with explicit partitions; `send_all` returns only when all is safe.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    linger_ms : int
        How long a batch waits for company.
    """

    def __init__(self, bootstrap: str, linger_ms: int = 5) -> None:
        self._bootstrap = bootstrap
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._renewal = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        BrokerError
            If the broker does not answer within 10 s.
        """
        self._producer = await self._connect()

    async def close(self, timeout_s: float = 2.0) -> None:
        """Disconnect; what `send_all` has not returned for may be lost."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_client(producer, timeout_s)

    async def send_all(self, messages: Sequence[Message]) -> list[int]:
        """Write messages in order and wait until the broker has them all; their offsets.

        Trouble with the broker is retried with back-off for ever: all messages again, in order,
        so that the last value per key is the right one in a compacted topic.

        Raises
        ------
        BrokerError
            If a message can never be written: too large, or an impossible topic.
        """
        delay_s = _FIRST_DELAY_S
        while messages:
            producer: AIOKafkaProducer | None = None
            try:
                producer = await self._connected()
                return await _send(producer, messages)
            except _HOPELESS as error:
                raise BrokerError(f"a record can never be written to Kafka: {error}") from error
            except (KafkaError, BrokerError, AssertionError) as error:
                log.warning("Kafka write failed, again in %.1f s: %r", delay_s, error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _LAST_DELAY_S)
                await self._renew(producer)
        return []

    async def send_once(self, messages: Sequence[Message], timeout_s: float) -> list[int]:
        """Write messages in order, trying once; their offsets when the broker has them all.

        For a writer that must not repeat itself: it looks at the log before it tries again.

        Raises
        ------
        BrokerError
            Some may be on the log, and more may follow for `REQUEST_TIMEOUT_MS`; not retriable
            if one of them can never be written.
        """
        producer: AIOKafkaProducer | None = None
        try:
            producer = await self._connected()
            return await asyncio.wait_for(_send(producer, messages), timeout_s)
        except _HOPELESS as error:
            fault = BrokerError(f"a record can never be written to Kafka: {error}")
            fault.retriable = False
            raise fault from error
        except (KafkaError, BrokerError, AssertionError, TimeoutError) as error:
            await self._renew(producer)
            raise BrokerError(f"Kafka at {self._bootstrap}: write failed: {error!r}") from error

    async def _connected(self) -> AIOKafkaProducer:
        async with self._renewal:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def _renew(self, broken: AIOKafkaProducer | None) -> None:
        """Replace a producer whose sequence numbers may be out of step."""
        async with self._renewal:
            if broken is not None and self._producer is broken:
                self._producer = None
                await stop_client(broken, timeout_s=2.0)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            **client_options(self._bootstrap),
            enable_idempotence=True,
            acks="all",
            linger_ms=self._linger_ms,
            max_batch_size=1_048_576,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await start_client(producer, self._bootstrap)
        return producer


class _Batch(NamedTuple):
    """Messages of one partition that are sent as one, and their places among all."""

    topic: str
    partition: int
    builder: Any  # aiokafka's
    places: list[int]


async def _send(producer: AIOKafkaProducer, messages: Sequence[Message]) -> list[int]:
    """Hand all over in batches made here: a message at a time costs the client three times that."""
    batches, failure = _batches(producer, messages)
    pending: list[asyncio.Future[Any]] = []
    for batch in batches:
        try:
            pending.append(
                await producer.send_batch(batch.builder, batch.topic, partition=batch.partition)
            )
        except KafkaError as error:
            failure = error
            break
    results = await asyncio.gather(*pending, return_exceptions=True)
    for result in [*results, failure]:
        if isinstance(result, BaseException):
            raise result
    offsets = [0] * len(messages)
    for batch, result in zip(batches, results, strict=True):
        assert not isinstance(result, BaseException)
        for nth, place in enumerate(batch.places):
            offsets[place] = int(result.offset) + nth
    return offsets


def _batches(
    producer: AIOKafkaProducer, messages: Sequence[Message]
) -> tuple[list[_Batch], KafkaError | None]:
    """The messages up to the first that can never be sent, and what it is; order stays."""
    batches: list[_Batch] = []
    last: dict[tuple[str, int], _Batch] = {}
    failure: KafkaError | None = None
    for place, message in enumerate(messages):
        topic, partition, append_us, key, value, headers = message
        if len(value or b"") > _SURELY_FITS and _weight(message) > MAX_MESSAGE_BYTES:
            failure = MessageSizeTooLargeError(f"{_weight(message)} bytes")
            break
        own = [*headers, _append_header(message)]
        stamp_ms = min(max(append_us // 1000, 0), _MAX_MS)
        batch = last.get((topic, partition))
        if batch is not None:
            added = batch.builder.append(timestamp=stamp_ms, key=key, value=value, headers=own)
            if added is not None:
                batch.places.append(place)
                continue
        batch = _Batch(topic, partition, producer.create_batch(), [place])
        batch.builder.append(timestamp=stamp_ms, key=key, value=value, headers=own)
        batches.append(batch)
        last[topic, partition] = batch
    for batch in batches:
        batch.builder.close()
    return batches, failure


def _weight(message: Message) -> int:
    """Bytes a message takes in a batch, at most."""
    return int(
        DefaultRecordBatchBuilder.estimate_size_in_bytes(
            message.key, message.value, [*message.headers, _append_header(message)]
        )
    )


def _append_header(message: Message) -> tuple[str, bytes]:
    """The append time as the message's readers can bear it."""
    if message.append_us >= 0 and any(name == "ce_specversion" for name, _ in message.headers):
        return APPEND_TEXT_HEADER, str(message.append_us).encode()
    return APPEND_HEADER, le8(message.append_us)


def le8(number: int) -> bytes:
    """Eight little-endian bytes of a signed integer, as our headers carry numbers."""
    return number.to_bytes(8, "little", signed=True)


async def start_client(client: Any, bootstrap: str, timeout_s: float = 10.0) -> None:
    """Start an aiokafka client; every failure is one line that says what to do.

    Raises
    ------
    BrokerError
        If the broker does not answer within `timeout_s`, or refuses this user.
    """
    try:
        await asyncio.wait_for(client.start(), timeout_s)
    except _NOT_ALLOWED as error:
        await stop_client(client, timeout_s=1.0)
        raise BrokerError(
            f"Kafka at {bootstrap} refuses this user ({type(error).__name__}): "
            "has it the rights of its role (vigil grant)?"
        ) from error
    except (KafkaError, OSError, TimeoutError) as error:
        await stop_client(client, timeout_s=1.0)
        raise BrokerError(
            f"Kafka at {bootstrap} does not answer ({type(error).__name__}): "
            "is it running (make services-up), and is the address right?"
        ) from error


async def stop_client(client: Any, timeout_s: float = 2.0) -> None:
    """Stop an aiokafka client in bounded time; trouble is only logged."""
    try:
        await asyncio.wait_for(client.stop(), timeout_s)
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("Kafka client did not stop cleanly: %r", error)
