"""A batch in passes: what one caused is published while the next is fed, and none of it is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from streams.errors import BrokerError
from streams.io.host import Connections, Host
from streams.io.input_log import InputLog, RawRecord
from streams.io.kafka_log import LogWriter, Message
from streams.io.state_store import StateStore
from streams.processor import Output, Outputs, Processor, Prompt
from streams.records import LogRecord

WAIT_S = 10.0


class Broker:
    """Remembers what was written; may refuse once."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.values: list[bytes] = []
        self.under_way = 0
        self.refuse = False

    async def send_all(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        self.under_way += 1
        assert self.under_way == 1, "two publications at a time could change their order"
        await asyncio.sleep(0.01)
        self.under_way -= 1
        if self.refuse:
            self.refuse = False
            raise BrokerError("no")
        self.values += [message.value or b"" for message in messages]
        self.came.set()


class Speaking(Prompt):
    """An engine that says each record's offset; `wait_for` makes a feed wait for the broker."""

    def __init__(self, wait_for: threading.Event | None = None) -> None:
        self.feeds: list[list[int]] = []
        self.heard = True
        self._wait_for = wait_for

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        self.feeds.append([record.offset for record in records])
        if self._wait_for is not None and len(self.feeds) == 2:
            self.heard = self._wait_for.wait(WAIT_S)
        said = [Output("scores", "p", r.partition, r.append_us, b"%d" % r.offset) for r in records]
        return Outputs(tuple(said))


def host_of(broker: Broker, engine: Speaking) -> Host:
    nothing: Any = None
    connected = Connections(
        cast(LogWriter, broker), cast(StateStore, nothing), cast(InputLog, nothing)
    )
    host = Host(cast(Processor, engine), connected, "test")
    host._next = {0: 0}
    return host


def records(count: int) -> list[RawRecord]:
    return [RawRecord(0, offset, 1_700_000_000_000_000 + offset, b"xx") for offset in range(count)]


@pytest.fixture(autouse=True)
def _small_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.portions.PASS_BYTES", 4)  # two records


def test_what_a_pass_caused_is_out_while_the_next_is_still_fed() -> None:
    broker = Broker()
    engine = Speaking(wait_for=broker.came)
    asyncio.run(host_of(broker, engine).process(records(4)))
    assert engine.feeds == [[0, 1], [2, 3]]
    assert engine.heard, "the second pass ended without the first one's outputs being out"


def test_all_passes_are_out_when_it_returns_in_order_and_one_publication_at_a_time() -> None:
    broker = Broker()
    asyncio.run(host_of(broker, Speaking()).process(records(9)))
    assert broker.values == [b"%d" % offset for offset in range(9)]


def test_what_was_refused_between_passes_waits_for_the_next_publication() -> None:
    broker, engine = Broker(), Speaking()
    host = host_of(broker, engine)
    broker.refuse = True

    async def flow() -> None:
        with pytest.raises(BrokerError):
            await host.process(records(4))
        await host.process(records(4))  # what was fed is not fed again

    asyncio.run(flow())
    assert broker.values == [b"0", b"1", b"2", b"3"]
