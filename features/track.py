"""The rows of one track of one patient, as flat columns in order of (event time, log order).

Invariant: at most `MOST_ROWS` rows. Not here: which events make rows (`features.facts`), versions
of one event on several tracks (`features.asof`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Any, Final

NEVER: Final = 2**63 - 1  # the time something never happens
MOST_ROWS: Final = 64
LEAST_ROWS: Final = 16  # these stay however old they are
LOOKBACK_US: Final = 15 * 60 * 1_000_000  # how far behind the newest row answers stay exact
_DAY_US: Final = 24 * 3600 * 1_000_000 + LOOKBACK_US  # what windows of a day look at
_STEP: Final = 16  # rows go in batches of about this many: cheaper than one by one


class Track:
    """Rows as columns; row i stands for decisions at k with `known[i] <= k < dead[i]`.

    `dead` is when a higher version of the same event became known; 0 for a cancellation.
    `lost_us` is the latest event time among rows that had to go: what lies after it is complete.
    `gone` counts those that stood.
    """

    __slots__ = ("dead", "gone", "ids", "known", "limit", "lost_us", "times", "value", "versions")

    def __init__(self) -> None:
        self.times = array("q")  # event time, µs
        self.known = array("q")
        self.dead = array("q")
        self.value = array("d")  # NaN: a cancellation
        self.versions = array("q")
        self.ids: list[str] = []
        self.lost_us = -1
        self.gone = 0
        self.limit = LEAST_ROWS + _STEP  # rows beyond which it is pruned

    def put(self, row: tuple[int, int, float, str, int], dead_us: int = NEVER) -> bool:
        """Add (time_us, known_us, value, event_id, version) after its equals; True: prune it."""
        time_us, known_us, value, event_id, version = row
        times = self.times
        if not times or time_us >= times[-1]:
            times.append(time_us)
            self.known.append(known_us)
            self.dead.append(dead_us)
            self.value.append(value)
            self.versions.append(version)
            self.ids.append(event_id)
        else:
            place = bisect_right(times, time_us)
            times.insert(place, time_us)
            self.known.insert(place, known_us)
            self.dead.insert(place, dead_us)
            self.value.insert(place, value)
            self.versions.insert(place, version)
            self.ids.insert(place, event_id)
        return len(times) > self.limit

    def find(self, t_us: int, known_us: int) -> int:
        """Row in force at `t_us` as known at `known_us`, -1 for none."""
        known, dead = self.known, self.dead
        place = bisect_right(self.times, t_us) - 1
        while place >= 0:
            if known[place] <= known_us < dead[place]:
                break
            place -= 1
        return place

    def prune(self) -> list[str]:
        """Let the oldest rows go, or the densest stretch; returns whose rows went."""
        went: list[str] = []
        newest_us = self.times[-1]
        old = bisect_right(self.times, newest_us - _DAY_US)
        count = min(old, len(self.times) - LEAST_ROWS)
        if len(self.times) - count > MOST_ROWS - _STEP:
            recent = bisect_right(self.times, newest_us - LOOKBACK_US) - 1
            count = max(count, min(recent, len(self.times) - MOST_ROWS + _STEP))
        if count > 0:
            self._drop(0, count, went)
        while len(self.times) > MOST_ROWS - _STEP:
            place = self._densest()
            self._drop(place, place + 1, went)
        self.limit = max(LEAST_ROWS, len(self.times)) + _STEP
        return went

    def _drop(self, start: int, stop: int, went: list[str]) -> None:
        self.lost_us = max(self.lost_us, self.times[stop - 1])
        self.gone += self.dead[start:stop].count(NEVER)
        went += self.ids[start:stop]
        del self.ids[start:stop], self.times[start:stop], self.known[start:stop]
        del self.dead[start:stop], self.value[start:stop], self.versions[start:stop]

    def _densest(self) -> int:
        """Row that is missed least: the one whose neighbours are nearest each other."""
        times = self.times
        gaps = [times[i + 1] - times[i - 1] for i in range(1, len(times) - 1)]
        return 1 + gaps.index(min(gaps))

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        packed = [column.tobytes() for column in self._columns()]
        return [*packed, self.ids, self.lost_us, self.gone, self.limit]

    @classmethod
    def from_state(cls, state: list[Any]) -> Track:
        """Track as `to_state` left it."""
        track = cls()
        *packed, ids, track.lost_us, track.gone, track.limit = state
        columns: tuple[array[Any], ...] = track._columns()
        for column, data in zip(columns, packed, strict=True):
            column.frombytes(data)
            if len(column) != len(ids):
                raise ValueError("columns of unequal length")
        track.ids = list(ids)
        return track

    def _columns(self) -> tuple[array[Any], ...]:
        """Columns of numbers, in the order of the state."""
        return self.times, self.known, self.dead, self.value, self.versions
