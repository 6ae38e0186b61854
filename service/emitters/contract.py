"""What an emitter is: a pure mapper from event to letter, and a sender that posts letters.

Mappers know no network, senders know no alerts. The host of both is `service.delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

from alerts.alert import AlertEvent, AlertRecord


class Result(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    AWAY = "away"  # the target cannot be reached or says "later": everything waits for it
    FAILED = "failed"  # the target failed on this letter: it is tried again
    REFUSED = "refused"  # the target will never take it


class Outcome(NamedTuple):
    """Result of an attempt; `detail` holds neither secrets nor anything of a patient."""

    result: Result
    detail: str = ""
    retry_after_s: float | None = None


class HttpRequest(NamedTuple):
    """One request, complete but for the connection."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Document(NamedTuple):
    """A file to write."""

    name: str
    body: bytes


Content = HttpRequest | Document | bytes  # bytes: an HL7 message for MLLP


class Letter(NamedTuple):
    """What one attempt sends, and which events it tells of."""

    event_ids: tuple[str, ...]
    content: Content


class Mapper(Protocol):
    """Events to letters. `repeat_s` is how often `repeat` is asked; 0: never."""

    repeat_s: float

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Take over what is open when the process starts."""
        ...

    def letter(self, event: AlertEvent, now_us: int) -> Letter | None:
        """The letter of an event; None when the target has no word for it."""
        ...

    def delivered(self, event: AlertEvent, now_us: int) -> None:
        """The target has it."""
        ...

    def repeat(self, now_us: int) -> Letter | None:
        """What must be told again by now."""
        ...


class Sender(Protocol):
    """Posts letters; never raises for trouble of the target's."""

    async def post(self, content: Content) -> Outcome:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Plain:
    """A mapper that is a function: no memory, nothing to repeat."""

    repeat_s = 0.0

    def __init__(self, letter: Callable[[AlertEvent, int], Letter | None]) -> None:
        self._letter = letter

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Nothing is remembered."""

    def letter(self, event: AlertEvent, now_us: int) -> Letter | None:
        """The function's word."""
        return self._letter(event, now_us)

    def delivered(self, event: AlertEvent, now_us: int) -> None:
        """Nothing is remembered."""

    def repeat(self, now_us: int) -> Letter | None:
        """Nothing is repeated."""
        return None
