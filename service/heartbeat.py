"""Heartbeats: every worker says that it lives, a watch says which one fell silent. Pure.

A beat is about the engine, not a patient: time, count of self-checks (as BICEPS has them),
partitions, how far behind. Consumers show NOT LIVE when none came for 15 s.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

SCHEMA: Final = "heartbeat.v1"
EVERY_S: Final = 5.0  # as the ticks
LIVE_S: Final = 15.0  # three beats missed
FORGET_US: Final = 3600 * 1_000_000  # an instance silent this long was removed on purpose
_JSON = msgspec.json.Encoder(order="deterministic")


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One beat. `ready`: restored and processing; `lag_s`: age of the oldest frontier."""

    schema: str = SCHEMA
    instance: str
    at_us: int
    started_us: int
    self_checks: int
    ready: bool
    partitions: tuple[int, ...]
    lag_s: float | None


_DECODER = msgspec.json.Decoder(Heartbeat)


def heartbeat_value(beat: Heartbeat) -> bytes:
    """The value of `vigil.heartbeat.v1`; its key is the instance."""
    return _JSON.encode(beat)


def parse_heartbeat(value: bytes) -> Heartbeat:
    """A beat.

    Raises
    ------
    ValueError
        If it is none.
    """
    return _DECODER.decode(value)


class Change(NamedTuple):
    """An instance fell silent, or beats again; with the partitions it had."""

    instance: str
    partitions: tuple[int, ...]
    since_us: int
    alive: bool


class HeartbeatWatch:
    """Who beats. Times are those of receiving: an instance's clock may be wrong."""

    def __init__(self, live_us: int = round(LIVE_S * 1e6)) -> None:
        self._live_us = live_us
        self._seen: dict[str, tuple[int, Heartbeat]] = {}
        self._silent: set[str] = set()

    def beat(self, beat: Heartbeat, now_us: int) -> list[Change]:
        """A beat came; tells when its instance had been silent."""
        since_us = self._seen.get(beat.instance, (now_us, beat))[0]
        self._seen[beat.instance] = (now_us, beat)
        if beat.instance not in self._silent:
            return []
        self._silent.discard(beat.instance)
        return [Change(beat.instance, beat.partitions, since_us, alive=True)]

    def silent(self, now_us: int) -> list[Change]:
        """Instances that are silent since the last call.

        One whose partitions all beat elsewhere was replaced, not lost: nothing is told of it.
        """
        found = []
        held = {part for _, beat in self._live(now_us) for part in beat.partitions}
        for name, (at_us, beat) in list(self._seen.items()):
            if now_us - at_us > FORGET_US:
                del self._seen[name]
                self._silent.discard(name)
            elif now_us - at_us > self._live_us and name not in self._silent:
                left = tuple(part for part in beat.partitions if part not in held)
                if left:
                    self._silent.add(name)
                    found.append(Change(name, left, at_us, alive=False))
        return found

    def live(self, now_us: int) -> bool:
        """Whether anyone beats and is ready."""
        return any(beat.ready for _, beat in self._live(now_us))

    def lag_s(self, now_us: int) -> float:
        """How far the slowest worker that beats and is ready is behind; 0 without any."""
        return max((b.lag_s or 0.0 for _, b in self._live(now_us) if b.ready), default=0.0)

    def age_s(self, now_us: int) -> float | None:
        """Time since the last beat of anyone; None before the first."""
        return min(((now_us - at_us) / 1e6 for at_us, _ in self._seen.values()), default=None)

    def _live(self, now_us: int) -> list[tuple[int, Heartbeat]]:
        return [seen for seen in self._seen.values() if now_us - seen[0] <= self._live_us]
