"""The event feed: stored facts onto the log, every one once, a patient's own in known order.

Not here: SQL (`streams.io.store_feed`), Kafka (`service.feed` gives a `Log`). The feed is the
only way by which a stored fact reaches an engine. How a crash leaves no second copy: what is
being published is claimed in the database first; whoever finds a claim reads the log from there
on and marks what it finds (docs/event-store.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from streams.errors import OperationalError
from streams.io.store import Store
from streams.io.store_feed import Lead
from streams.io.store_rows import BATCH_ROWS, Published
from streams.records import ClinicalEvent

FEED_ROWS: Final = 2_000  # a batch; news waits for at most one
POLL_S: Final = 0.5  # NOTIFY wakes the feed; this finds what a lost notice would have told
# A publication is given up after PUBLISH_S, and the client's last request is over by SETTLE_S:
# what is not on the log then will not come.
PUBLISH_S: Final = 10.0
SETTLE_S: Final = 20.0

_LOG = logging.getLogger(__name__)


class Log(Protocol):
    """The patients' log, as the feed needs it."""

    def publish(self, events: Sequence[ClinicalEvent], append_us: int) -> list[tuple[int, int]]:
        """Append events in order; their (partition, offset), once the broker has them all.

        Raises
        ------
        BrokerError
            Some may be on the log, unconfirmed.
        """
        ...

    def find(self, since_us: int) -> Iterable[Published]:
        """Clinical events on the log whose append time is `since_us` or later, by position."""
        ...


class FeedSpec(NamedTuple):
    """How the feed runs."""

    admitted_only: bool = False
    rows: int = FEED_ROWS
    poll_s: float = POLL_S
    settle_s: float = SETTLE_S


def _now_us() -> int:
    return time.time_ns() // 1000


class EventFeed:
    """Publishes what waits, a batch at a time; one process at a time, the others stand by.

    Invariant: an event is marked with the place of its first copy on the log, and a copy is
    only written after the log was searched for one, if there can be one.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        spec: FeedSpec | None = None,
        clock_us: Callable[[], int] = _now_us,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._log = log
        self._spec = spec or FeedSpec()
        self._clock_us = clock_us
        self._sleep = sleep
        self._lead: Lead | None = None
        self._claim_us: int | None = None  # of the last batch this process published
        self._confirmed: list[Published] = []  # on the log, the mark has not succeeded yet
        self._told = False

    def once(self) -> int:
        """Publish and mark one batch; how many events, 0 when none waits or another leads.

        Raises
        ------
        BrokerError, StoreError
            Call again: what is on the log is found and marked, the rest is published.
        """
        try:
            lead = self._leading()
            if lead is None:
                return 0
            events = self._store.feed.waiting(
                self._spec.rows, admitted_only=self._spec.admitted_only
            )
            return self._publish(lead, events) if events else 0
        except OperationalError:
            self._lead = None  # the next call looks at what this one left
            raise

    def drain(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Publish until nothing waits; how many events."""
        total = count = self.once()
        while count and not stopped():
            count = self.once()
            total += count
        return total

    def run(self, stopped: Callable[[], bool]) -> int:
        """Publish until `stopped()`: at once when rows come, and every `poll_s` anyway.

        Returns
        -------
        int
            How many events were published.

        Raises
        ------
        OperationalError
            Only one that is not retriable (no schema, login refused); the rest is waited out.
        """
        total = 0
        while not stopped():
            try:
                count = self.once()
                total += count
                if not count and not stopped():
                    self._store.feed.heard(self._spec.poll_s)
            except OperationalError as fault:
                if not fault.retriable:
                    raise
                _LOG.warning("event feed waits: %s", fault)
                self._sleep(self._spec.poll_s)
        return total

    def _leading(self) -> Lead | None:
        """Give the right to publish, with nothing left in doubt."""
        if self._lead is not None and self._store.feed.leads():
            return self._lead
        lead = self._store.feed.lead()
        if lead is None:
            if not self._told:
                _LOG.warning("another event feed publishes; this one stands by")
            self._told = True
            return None
        self._told = False
        if lead.claim_us is not None:
            self._settle(lead, lead.claim_us)
        self._lead = lead
        return lead

    def _publish(self, lead: Lead, events: Sequence[ClinicalEvent]) -> int:
        append_us = self._clock_us()
        if not self._store.feed.claim(lead.epoch, append_us):
            self._lead = None
            return 0
        self._claim_us, self._confirmed = append_us, []
        places = self._log.publish(events, append_us)
        self._confirmed = [
            Published(event.event_id, event.version, event.event_time_us, *place, append_us)
            for event, place in zip(events, places, strict=True)
        ]
        self._store.feed.mark(lead.epoch, self._confirmed, done=True)
        self._confirmed = []
        return len(events)

    def _settle(self, lead: Lead, claim_us: int) -> None:
        """Mark what was published and not marked: from memory, or by searching the log."""
        if claim_us == self._claim_us and self._confirmed:
            self._store.feed.mark(lead.epoch, self._confirmed, done=True)
            self._confirmed = []
            return
        wait_s = self._spec.settle_s - (self._clock_us() - claim_us) / 1e6
        if wait_s > 0:
            self._sleep(min(wait_s, self._spec.settle_s))
        first: dict[tuple[str, int], Published] = {}
        for found in self._log.find(claim_us):
            first.setdefault((found.event_id, found.version), found)
        marks = list(first.values())
        count = 0
        for at in range(0, len(marks), BATCH_ROWS):
            count += self._store.feed.mark(lead.epoch, marks[at : at + BATCH_ROWS], done=False)
        self._store.feed.mark(lead.epoch, [], done=True)
        _LOG.warning("event feed resumed: %d events were on the log without a mark", count)
