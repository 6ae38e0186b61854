"""What is taken from the log and not yet done with: one lane per occurrence, in order.

Pure bookkeeping: no network, no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from alerts.alert import AlertEvent
from streams.io.kafka_tracked import Place


class Item(NamedTuple):
    """An event and where in the log it stands."""

    place: Place
    offset: int
    event: AlertEvent
    taken_us: int


class Lanes:
    """Events per occurrence, and per partition the offset up to which everything is done."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Item]] = {}
        self._pending: dict[Place, set[int]] = {}
        self._next: dict[Place, int] = {}

    def __len__(self) -> int:
        return sum(len(offsets) for offsets in self._pending.values())

    def see(self, place: Place, offset: int) -> bool:
        """Note that a record was read; False if it was read before and waits."""
        if offset in self._pending.get(place, ()):
            return False
        self._next[place] = max(self._next.get(place, 0), offset + 1)
        return True

    def put(self, item: Item) -> bool:
        """Queue an event; True if its lane was empty and must be started."""
        self._pending.setdefault(item.place, set()).add(item.offset)
        lane = self._lanes.setdefault(item.event.occurrence_id, deque())
        lane.append(item)
        return len(lane) == 1

    def first(self, occurrence_id: str) -> Item | None:
        """The event of a lane that is next."""
        lane = self._lanes.get(occurrence_id)
        return lane[0] if lane else None

    def finish(self, item: Item) -> bool:
        """An event is done with; False if it was lost to another member meanwhile."""
        if not self.has(item):
            return False
        self._pending[item.place].discard(item.offset)
        lane = self._lanes[item.event.occurrence_id]
        lane.popleft()
        if not lane:
            del self._lanes[item.event.occurrence_id]
        return True

    def keep_only(self, owned: Collection[Place]) -> None:
        """Forget partitions that another member has now: it will deliver what is left."""
        lost = [place for place in self._next if place not in owned]
        if not lost:
            return
        for place in lost:
            del self._next[place]
            self._pending.pop(place, None)
        for name, lane in list(self._lanes.items()):
            self._lanes[name] = deque(item for item in lane if item.place in owned)
            if not self._lanes[name]:
                del self._lanes[name]

    def has(self, item: Item) -> bool:
        """Whether an event is the one its lane delivers now: it may be lost, or read anew."""
        return self.first(item.event.occurrence_id) is item

    def committable(self) -> dict[Place, int]:
        """Per partition, the first offset that is not done with."""
        return {
            place: min(self._pending.get(place) or (following,))
            for place, following in self._next.items()
        }

    def oldest_us(self) -> int | None:
        """When the event that waits longest was taken."""
        return min((lane[0].taken_us for lane in self._lanes.values()), default=None)
