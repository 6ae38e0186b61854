"""`vigil deliver`: the one host of every emitter, a consumer group of its own per emitter.

Promise: at least once, in order per occurrence, never on the alert path. While the target is away
one attempt at a time is made, with growing pauses, and nothing is dropped; a target that refuses
an event is believed, loudly. Not here: what is sent (`service.emitters`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from alerts.alert import AlertEvent
from service.delivery_log import DeliveryLog
from service.emitters.contract import Letter, Outcome, Result
from service.emitters.registry import Emitter
from service.emitters.spec import Spec
from service.lanes import Item, Lanes
from streams.errors import BrokerError
from streams.io.kafka_log import Stored
from streams.io.kafka_tracked import Place

MAX_WAITING: Final = 10_000  # events in memory; more are left on the log
COMMIT_S: Final = 1.0
_EVENT: Final = msgspec.json.Decoder(AlertEvent)

log = logging.getLogger(__name__)


class Clock(NamedTuple):
    """Wall clock in µs, and waiting: a test may run both faster."""

    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Consumer(Protocol):
    """What the host needs of Kafka; `streams.io.kafka_tracked.TrackedConsumer` is one."""

    def owned(self) -> frozenset[Place]:
        """Partitions this member has."""
        ...

    async def poll(self) -> list[Stored]:
        """New messages."""
        ...

    async def commit(self, done: dict[Place, int]) -> None:
        """Commit next offsets."""
        ...


class Told(Protocol):
    """Who hears of results: metrics and receipts."""

    def attempted(self, result: str) -> None:
        """An attempt ended, or an event was given up."""
        ...

    def delivered(self, event: AlertEvent, at_us: int) -> None:
        """The target has an event, or has no word for it."""
        ...

    def waiting(self, events: int, oldest_us: int | None) -> None:
        """So many events wait, the oldest since then."""
        ...


class Courier:
    """Takes events from a consumer, hands letters to a sender, keeps the books.

    Parameters
    ----------
    emitter : Emitter
        Mapper and sender.
    spec : Spec
        What is wanted, how it is retried.
    journal : DeliveryLog
        Where attempts are written.
    told : Told
        Who hears of results.
    clock : Clock
        Time.
    """

    def __init__(
        self,
        emitter: Emitter,
        spec: Spec,
        journal: DeliveryLog,
        told: Told,
        clock: Clock = Clock(),  # noqa: B008 - immutable
    ) -> None:
        self._mapper, self._sender = emitter
        self._spec, self._selection = spec, spec.selection()
        self._journal, self._told, self._clock = journal, told, clock
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        # What is repeated must never overtake what is new: then one at a time.
        self._slots = asyncio.Semaphore(1 if self._mapper.repeat_s else spec.parallel)
        self._probe = asyncio.Lock()
        self._away = 0  # attempts in a row that found the target away
        self._later_s: float | None = None
        self._failure: BaseException | None = None

    async def run(self, consumer: Consumer, stopping: Callable[[], bool]) -> None:
        """Deliver until told to stop; what was not delivered by then comes again.

        Raises
        ------
        OSError
            If the notification log cannot be written: nothing is sent unwritten.
        """
        if self._mapper.repeat_s:
            self._spawn(self._repeat())
        committed_s = time.monotonic()
        try:
            while not stopping() and self._failure is None:
                await self._step(consumer)
                if time.monotonic() - committed_s >= COMMIT_S:
                    await self._commit(consumer)
                    committed_s = time.monotonic()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._sender.close()
            await self._commit(consumer)
        if self._failure is not None:
            raise self._failure

    async def _step(self, consumer: Consumer) -> None:
        """Read once, unless enough waits already."""
        self._lanes.keep_only(consumer.owned())
        self._told.waiting(len(self._lanes), self._lanes.oldest_us())
        if len(self._lanes) >= MAX_WAITING:
            await asyncio.sleep(0.1)
            return
        try:
            rows = await consumer.poll()
        except BrokerError as fault:
            if not fault.retriable:
                raise
            log.warning("delivery waits: %s", fault)
            await asyncio.sleep(1.0)
            return
        for row in rows:
            self._take(row)

    def _take(self, row: Stored) -> None:
        """Queue an event that is wanted and was not delivered before."""
        place = Place(row.topic, row.partition)
        if not self._lanes.see(place, row.offset):
            return
        now_us = self._clock.now_us()
        try:
            event = _EVENT.decode(row.value)
        except (ValueError, RecursionError):
            where = f"{row.topic}/{row.partition}/{row.offset}"
            log.warning("%s is no alert event", where)
            self._journal.unreadable(where, now_us)
            return
        if not self._selection.wants(event) or self._journal.done(event.event_id):
            return
        if self._lanes.put(Item(place, row.offset, event, now_us)):
            self._spawn(self._drive(event.occurrence_id))

    def _spawn(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - told to `run`, which raises it
                self._failure = self._failure or error

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, occurrence_id: str) -> None:
        """Deliver the events of one occurrence, one after the other."""
        while (item := self._lanes.first(occurrence_id)) is not None:
            await self._deliver(item)
            if not self._lanes.finish(item):
                return  # another member's now, or read anew: then another task has it

    async def _deliver(self, item: Item) -> None:
        """Try until it is delivered, refused or given up; or until it is another member's."""
        began_us, attempt = self._clock.now_us(), 0
        while self._lanes.has(item):
            attempt += 1
            number, outcome = await self._attempt(item, attempt)
            now_us = self._clock.now_us()
            if outcome is None or outcome.result is Result.DELIVERED:
                return
            if outcome.result is Result.REFUSED:
                log.error("the target refused event %s: %s", item.event.event_id, outcome.detail)
                return
            if outcome.result is Result.FAILED:
                if now_us - began_us >= self._spec.give_up_s * 1e6:
                    log.error("event %s is given up: %s", item.event.event_id, outcome.detail)
                    self._journal.give_up(number, (item.event.event_id,), now_us)
                    self._told.attempted("given_up")
                    return
                await self._clock.sleep(self._pause_s(attempt))

    async def _attempt(self, item: Item, attempt: int) -> tuple[int, Outcome | None]:
        """Make one attempt when it is its turn; no outcome when there is nothing to send."""
        while True:
            if self._away:
                async with self._probe:
                    if self._away:  # still: this lane asks for all, the others wait behind it
                        await self._clock.sleep(self._pause_s(self._away, self._later_s))
                        async with self._slots:
                            return await self._send(item, attempt)
            async with self._slots:
                if not self._away:
                    return await self._send(item, attempt)

    async def _send(self, item: Item, attempt: int) -> tuple[int, Outcome | None]:
        """Write the attempt down, make it, tell how it ended."""
        if not self._lanes.has(item):
            return 0, None
        now_us = self._clock.now_us()
        letter = self._mapper.letter(item.event, now_us)
        if letter is None:
            self._told.delivered(item.event, now_us)
            return 0, None
        number = self._journal.begin(letter.event_ids, attempt, now_us)
        outcome = await self._post(letter, number)
        if outcome.result is Result.DELIVERED:
            now_us = self._clock.now_us()
            self._mapper.delivered(item.event, now_us)
            self._told.delivered(item.event, now_us)
        return number, outcome

    async def _post(self, letter: Letter, number: int) -> Outcome:
        """Send, write how it ended, remember whether the target is there."""
        outcome = await self._sender.post(letter.content)
        self._journal.end(number, letter.event_ids, outcome, self._clock.now_us())
        self._told.attempted(outcome.result.value)
        if outcome.result is Result.AWAY:
            if not self._away:
                log.warning("the target is away (%s): its events wait", outcome.detail)
            self._away, self._later_s = self._away + 1, outcome.retry_after_s
        else:
            if self._away:
                log.warning("the target is back after %d attempts", self._away)
            self._away, self._later_s = 0, None
        return outcome

    async def _repeat(self) -> None:
        """Tell again what is open, as often as the mapper needs it."""
        while True:
            await self._clock.sleep(self._mapper.repeat_s)
            async with self._slots:
                now_us = self._clock.now_us()
                letter = self._mapper.repeat(now_us)
                if letter is not None:
                    number = self._journal.begin_repeat(len(letter.event_ids), now_us)
                    outcome = await self._sender.post(letter.content)
                    self._journal.end(number, (), outcome, self._clock.now_us())
                    self._told.attempted(outcome.result.value)

    async def _commit(self, consumer: Consumer) -> None:
        try:
            await consumer.commit(self._lanes.committable())
        except BrokerError as fault:
            log.warning("delivery cannot commit, events may come again: %s", fault)

    def _pause_s(self, attempt: int, later_s: float | None = None) -> float:
        """The pause before the next attempt: doubled each time, up to a limit, or as asked."""
        if later_s is not None:
            return later_s
        doubled_s: float = self._spec.retry_first_s * 2.0 ** min(attempt - 1, 30)
        return min(doubled_s, self._spec.retry_last_s)
