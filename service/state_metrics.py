"""Figures of stored states: how many, how large, when last, and those that were passed over."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class StateMetrics:
    """What a host stores and finds of patients' states; `clock_s` gives seconds since 1970."""

    def __init__(self, registry: CollectorRegistry, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._count = Counter("vigil_snapshots", "Patient states stored.", registry=registry)
        self._bytes = Counter(
            "vigil_snapshot_bytes", "Bytes of patient states stored.", registry=registry
        )
        self._last = Gauge(
            "vigil_last_snapshot_timestamp_seconds",
            "When states were last stored.",
            registry=registry,
        )
        self._stale = Counter(
            "vigil_stale_snapshots",
            "Stored states older than one before them, passed over at a restore.",
            registry=registry,
        )

    def stored(self, count: int, size_bytes: int) -> None:
        """So many states were stored."""
        self._count.inc(count)
        self._bytes.inc(size_bytes)
        if count:
            self._last.set(self._clock_s())

    def passed_over(self, count: int) -> None:
        """So many states were older than one before them."""
        self._stale.inc(count)
