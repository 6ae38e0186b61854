"""The notification log of one emitter: every attempt, before it is made, and how it ended.

A row `attempt` is on disk before anything is sent, so no attempt is without one; a row `outcome`
follows. After a crash, what was delivered is known from here and is not sent again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from service.audit import AuditLog
from service.emitters.contract import Outcome, Result

MAX_REMEMBERED: Final = 100_000  # event ids known to be done with
GIVEN_UP: Final = "given_up"
_DONE: Final = (Result.DELIVERED.value, Result.REFUSED.value, GIVEN_UP)


class DeliveryLog:
    """Attempts and outcomes of one emitter, hash-chained (`service.audit`)."""

    def __init__(self, path: Path, emitter: str) -> None:
        self._log = AuditLog(path)
        self._emitter = emitter
        self._done: OrderedDict[str, None] = OrderedDict()
        open_attempts: dict[int, list[str]] = {}
        for row in self._log.rows():
            if row.get("kind") == "attempt":
                open_attempts[row["n"]] = row.get("event_ids", [])
            elif row.get("kind") == "outcome":
                ids = open_attempts.pop(row["of"], [])
                self._remember(row["result"], ids)

    def done(self, event_id: str) -> bool:
        """Whether nothing is left to do for an event."""
        return event_id in self._done

    def begin(self, event_ids: tuple[str, ...], attempt: int, at_us: int) -> int:
        """Write that an attempt is about to be made; the number that `end` needs."""
        return self._append("attempt", at_us, event_ids=list(event_ids), attempt=attempt)

    def begin_repeat(self, events: int, at_us: int) -> int:
        """Write that everything open is about to be told again."""
        return self._append("attempt", at_us, repeat=True, events=events)

    def end(self, of: int, event_ids: Iterable[str], outcome: Outcome, at_us: int) -> None:
        """Write how an attempt ended."""
        result = outcome.result.value
        self._append("outcome", at_us, of=of, result=result, detail=outcome.detail)
        self._remember(result, event_ids)

    def give_up(self, of: int, event_ids: Iterable[str], at_us: int) -> None:
        """Write that no further attempt will be made after attempt `of`."""
        self._append("outcome", at_us, of=of, result=GIVEN_UP, detail="")
        self._remember(GIVEN_UP, event_ids)

    def unreadable(self, place: str, at_us: int) -> None:
        """Write that a record of the topic is none of ours."""
        self._append("unreadable", at_us, place=place)

    def close(self) -> None:
        """Let go of the file."""
        self._log.close()

    def _append(self, kind: str, at_us: int, **fields: Any) -> int:
        row = {"kind": kind, "at_us": at_us, "emitter": self._emitter, **fields}
        return self._log.append(row).n

    def _remember(self, result: str, event_ids: Iterable[str]) -> None:
        if result not in _DONE:
            return
        for event_id in event_ids:
            self._done[event_id] = None
        while len(self._done) > MAX_REMEMBERED:
            self._done.popitem(last=False)
