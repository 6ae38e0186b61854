"""What records caused and the broker does not have yet; not what an earlier owner has said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from streams.io.host_metrics import HostMetrics
from streams.io.kafka_log import LogWriter, Message
from streams.io.published import event_id
from streams.processor import Output
from streams.topics import TOPICS, topic_name

_NOTHING_SAID: frozenset[bytes] = frozenset()


class Published(Protocol):
    """The alerts topic, for what an earlier owner published beyond the replay point."""

    async def since(self, starts: Mapping[int, int]) -> dict[int, set[bytes]]:
        """By partition the ids of alert events that records from these offsets on may cause."""
        ...


class Outbox:
    """Messages in the order of their causes, until the broker has acknowledged them.

    Parameters
    ----------
    writer : LogWriter
        Started.
    prefix : str
        Namespace of the topics.
    metrics : HostMetrics
        Told what the broker has.
    published : Published, optional
        Where to look for what an earlier owner said; None: what is repeated is published again.
    """

    def __init__(
        self, writer: LogWriter, prefix: str, metrics: HostMetrics, published: Published | None
    ) -> None:
        self._writer, self._metrics, self._published = writer, metrics, published
        self._topics = {short: topic_name(short, prefix) for short in TOPICS}
        self._caused: list[Output] = []
        self._orders: list[Message] = []  # that take patients out: they follow what was caused
        self._said: dict[int, set[bytes]] = {}  # ids of alert events that are out already

    def add(self, outputs: Iterable[Output]) -> None:
        """Take what the next records caused."""
        self._caused.extend(outputs)

    def order(self, messages: Iterable[Message]) -> None:
        """Take records for the input topic."""
        self._orders.extend(messages)

    async def listen(self, starts: Mapping[int, int]) -> None:
        """Look what an earlier owner said of records from these offsets on."""
        if self._published is not None and starts:
            self._said |= await self._published.since(starts)

    def forget(self, partition: int) -> None:
        """It belongs to somebody else now."""
        self._said.pop(partition, None)

    async def publish(self) -> None:
        """Return when the broker has all that was there at the call.

        Raises
        ------
        BrokerError
            If a message can never be written.
        """
        caused = tuple(self._caused)
        self._metrics.held(len(caused))
        outputs = [output for output in caused if not self._is_out(output)]
        await self._writer.send_all([self._message(output) for output in outputs])
        del self._caused[: len(caused)]
        orders = tuple(self._orders)
        await self._writer.send_all(orders)
        del self._orders[: len(orders)]
        self._metrics.held(len(self._caused))
        self._metrics.published(outputs)

    def _is_out(self, output: Output) -> bool:
        """Whether an earlier owner has published this alert event."""
        said = self._said.get(output.partition, _NOTHING_SAID)
        return output.topic == "alerts" and event_id(output.headers) in said

    def _message(self, output: Output) -> Message:
        return Message(
            self._topics[output.topic],
            output.partition,
            output.append_us,
            output.key.encode("utf-8", "surrogatepass"),
            output.value,
            output.headers,
        )
