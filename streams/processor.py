"""The contract between the pure engine and every host that runs it.

A host feeds decoded records and publishes what comes out; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from streams.records import LogRecord


class Output(NamedTuple):
    """One message to publish, caused by one record of the log."""

    topic: str  # short name: features, scores, alerts, alert-state, dlq
    key: str
    partition: int  # of the record that caused it: outputs are co-partitioned with the input
    append_us: int  # the patient's append clock when it was caused; orders merged outputs
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Outputs(NamedTuple):
    """Messages in the order of their causes."""

    messages: tuple[Output, ...]


class Processor(Protocol):
    """A deterministic function of each partition's ordered log. No I/O, no clock.

    Any split of a log into `feed` calls gives the same messages. `restore(snapshots())` at any
    position changes nothing.
    """

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Apply records in order and return what they caused. Bad data never raises."""
        ...

    def snapshots(self, partition: int) -> list[tuple[str, int, bytes]]:
        """(patient_id, frontier offset, state) of what changed since its last snapshot."""
        ...

    def restore(self, partition: int, patient_id: str, state: bytes) -> int:
        """Load one patient; returns its frontier: its records below that offset are ignored."""
        ...

    def drop(self, partition: int) -> None:
        """Forget a partition that now belongs to another worker."""
        ...
