"""What a worker decides by itself, without a broker: whether it stood still, when it is full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace

import pytest

from streams.io import worker as own
from streams.io.host_metrics import SilentMetrics
from streams.io.input_log import RawRecord
from streams.io.worker import SESSION_S, Worker
from streams.io.worker_settings import WorkerSettings


class Carrier(Worker):
    """Carries nothing; remembers what it was told to restore and what was fed."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings, SilentMetrics())
        self.looked: list[Sequence[int]] = []
        self.fed: list[RawRecord] = []
        self.host = SimpleNamespace(  # type: ignore[assignment]
            positions={3: 10, 1: 4},
            process=self._fed,
            catch_up=self._idle,
            early=lambda longer_than_s: {},
        )

    async def _fed(self, records: Iterable[RawRecord]) -> None:
        self.fed += records

    async def _idle(self) -> None: ...

    def assigned(self, partitions: Sequence[int]) -> None:
        self.restored.clear()
        self.looked.append(partitions)

    async def join(self) -> None: ...

    def failed(self) -> str | None:
        return None

    async def commit(self, done: Mapping[int, int]) -> None: ...

    def end_of(self, partition: int) -> int | None:
        return None

    async def place(self) -> None: ...

    def member_id(self) -> str:
        return ""

    async def leave(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def carrier() -> Carrier:
    return Carrier(WorkerSettings("nowhere:1", instance="one", take_records=2))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now_s = time.monotonic() + seconds
    monkeypatch.setattr(own.time, "monotonic", lambda: now_s)


def test_who_stood_still_past_its_session_looks_where_others_are_and_feeds_nothing_before(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier.restored.set()
    carrier.waiting.add([RawRecord(1, 4, 0, b"x")])
    later(monkeypatch, SESSION_S + 1)
    assert asyncio.run(carrier.feed_next()) == []
    assert carrier.looked == [[1, 3]]
    assert (carrier.fed, len(carrier.waiting)) == ([], 1)
    carrier.restored.set()  # it has looked
    assert asyncio.run(carrier.feed_next()) == carrier.fed == [RawRecord(1, 4, 0, b"x")]


def test_a_pause_within_the_session_and_one_while_it_restores_are_none(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, SESSION_S + 1)
    assert not carrier.stood_still()  # it restores: that looks anyway ...
    assert carrier._doubt  # ... and asks what others said
    carrier.restored.set()
    later(monkeypatch, SESSION_S - 1)
    assert not carrier.stood_still()
    assert carrier.looked == []


def test_it_takes_no_more_than_may_wait(carrier: Carrier) -> None:
    most = own.BATCHES * 2
    carrier.waiting.add(RawRecord(1, n, 0, b"") for n in range(most - 1))
    assert not carrier.is_full()
    carrier.waiting.add([RawRecord(1, most, 0, b"")])
    assert carrier.is_full()
    heavy = Carrier(WorkerSettings("nowhere:1", instance="one", buffer_bytes=10))
    heavy.waiting.add([RawRecord(1, 0, 0, bytes(11))])
    assert heavy.is_full()


def test_a_partition_that_brings_none_of_its_ticks_is_asked_for_again(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier.restored.set()
    ticks = round(own.MUTE_S / carrier.settings.tick_s)
    carrier._unheard.update({1: ticks, 3: ticks - 1, 7: 10 * ticks})  # 7 is somebody else's
    later(monkeypatch, own.MUTE_S + 1)
    assert carrier._misses_records()
    carrier.waiting.add([RawRecord(1, 4, 0, b"x")])  # it came and waits its turn
    assert not carrier._misses_records()
    carrier.waiting.clear()
    carrier._asked_s = time.monotonic()
    assert not carrier._misses_records()  # it has just been asked for


def test_a_partition_that_moves_has_brought_its_ticks(carrier: Carrier) -> None:
    carrier.restored.set()
    carrier._unheard.update({1: 100, 3: 100})

    async def moved(records: Iterable[RawRecord]) -> None:
        carrier.host.positions = {3: 10, 1: 5}  # type: ignore[misc]

    carrier.host.process = moved  # type: ignore[method-assign]
    asyncio.run(carrier.feed_next())
    assert carrier._unheard == {3: 100}
