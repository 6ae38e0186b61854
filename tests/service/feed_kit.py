"""A log in memory, a clock that jumps, and events for the feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from service.event_feed import EventFeed, FeedSpec
from streams.io.store import Store
from streams.io.store_rows import Published
from streams.records import ClinicalEvent
from tests.fixtures_services import wait_until

T_US = 1_709_287_200_000_000  # 2024-03-01T10:00:00Z
EVER_US = 2**62
AT_ONCE = FeedSpec(settle_s=0.0)


class Log:
    """A log in memory that acknowledges at once, or breaks in a way of its own."""

    def __init__(self) -> None:
        self.rows: list[tuple[ClinicalEvent, int]] = []  # offset -> event, append time
        self.broken: Callable[[Sequence[ClinicalEvent], int], None] | None = None
        self.searched: list[int] = []

    def publish(self, events: Sequence[ClinicalEvent], append_us: int) -> list[tuple[int, int]]:
        if self.broken is not None:
            self.broken(events, append_us)
        first = len(self.rows)
        self.rows += [(event, append_us) for event in events]
        return [(0, first + n) for n in range(len(events))]

    def find(self, since_us: int) -> Iterator[Published]:
        self.searched.append(since_us)
        for offset, (event, append_us) in enumerate(self.rows):
            if append_us >= since_us:
                key = (event.event_id, event.version, event.event_time_us)
                yield Published(*key, 0, offset, append_us)

    @property
    def ids(self) -> list[str]:
        return [event.event_id for event, _ in self.rows]


class Clock:
    """A second later at every look."""

    def __init__(self) -> None:
        self.now_us = T_US + 3_600_000_000

    def __call__(self) -> int:
        self.now_us += 1_000_000
        return self.now_us


def event(number: int, patient_id: str = "p1", known_us: int | None = None) -> ClinicalEvent:
    time_us = T_US + number
    known = time_us if known_us is None else known_us
    return ClinicalEvent(
        f"e{number:05d}", 1, "final", patient_id, "hr", 60.0, "/min", "", time_us, known, "ehr"
    )


def feed_on(store: Store, log: Log, spec: FeedSpec = AT_ONCE) -> EventFeed:
    return EventFeed(store, log, spec, Clock())


def until_nobody_leads(store: Store) -> None:
    """A server takes a moment to notice that a session is gone."""
    wait_until(lambda: not store.feed.backlog().held, 20, "the lock of the feed that is gone")


def marks(store: Store) -> dict[str, Published | None]:
    found = store.stored_events(None, 0, EVER_US)
    return {stored.event.event_id: stored.published for stored in found}
