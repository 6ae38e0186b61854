"""What a host reports of itself, and to nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from streams.codec import kind_of
from streams.processor import Output
from streams.records import LogRecord


class HostMetrics(Protocol):
    """What a host reports. Implemented by `service.metrics`; labels never hold ids."""

    def fed(self, kinds: Mapping[tuple[str, str], int], seconds: float) -> None:
        """Records by (kind, result) went through the engine in so many seconds."""
        ...

    def published(self, outputs: Sequence[Output]) -> None:
        """The broker has these outputs."""
        ...

    def held(self, count: int) -> None:
        """So many outputs the broker has not acknowledged yet."""
        ...

    def frontier(self, partition: int, append_us: int) -> None:
        """The partition is processed up to a record of this append time."""
        ...

    def lag(self, partition: int, records: int) -> None:
        """So many records of the partition wait."""
        ...

    def snapshots(self, count: int, size_bytes: int) -> None:
        """So many states were stored."""
        ...

    def stale(self, count: int) -> None:
        """So many stored states were older than one before them: a sleeper wrote on."""
        ...

    def assigned(self) -> None:
        """The group gave partitions out anew."""
        ...

    def dropped(self, partition: int) -> None:
        """The partition belongs to another worker now."""
        ...

    def ready(self, ready: bool) -> None:
        """Whether every assigned partition is restored and being processed."""
        ...

    def quarantined(self, count: int) -> None:
        """So many patients were taken out after an internal fault."""
        ...


class SilentMetrics:
    """Reports to nobody."""

    def fed(self, kinds: Mapping[tuple[str, str], int], seconds: float) -> None:
        """Ignore."""

    def published(self, outputs: Sequence[Output]) -> None:
        """Ignore."""

    def held(self, count: int) -> None:
        """Ignore."""

    def frontier(self, partition: int, append_us: int) -> None:
        """Ignore."""

    def lag(self, partition: int, records: int) -> None:
        """Ignore."""

    def snapshots(self, count: int, size_bytes: int) -> None:
        """Ignore."""

    def stale(self, count: int) -> None:
        """Ignore."""

    def assigned(self) -> None:
        """Ignore."""

    def dropped(self, partition: int) -> None:
        """Ignore."""

    def ready(self, ready: bool) -> None:
        """Ignore."""

    def quarantined(self, count: int) -> None:
        """Ignore."""


def counted(records: Sequence[LogRecord]) -> Counter[tuple[str, str]]:
    """Records by (kind, result): whole, partly refused, refused."""
    return Counter(
        ("unknown", "rejected")
        if row.record is None
        else (kind_of(row.record), "partial" if row.rejected else "accepted")
        for row in records
    )
