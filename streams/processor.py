"""The contract between the pure engine and every host that runs it.

A host feeds decoded records and publishes what comes out; it decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
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


class Loaded(NamedTuple):
    """A patient that was restored."""

    frontier: int  # its records below this offset are applied already
    replay: int  # records of `[replay, frontier)` hold samples it still needs: `refill`


class Fault(NamedTuple):
    """What a patient's records do to the engine itself."""

    offset: int  # of the first record that raises
    append_us: int  # when that was appended
    reason: str  # the kind of the error, the same in every run


class Processor(Protocol):
    """A deterministic function of each partition's ordered log. No I/O, no clock.

    Any split of a log into `feed` calls gives the same messages. Restoring what `snapshots` gave at
    any position, together with `refill` and `complete`, changes nothing.
    """

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Apply records in order and return what they caused. Bad data never raises."""
        ...

    def feed_soon(self, records: Sequence[LogRecord]) -> Outputs:
        """The same, but patients who have much to compute are put off: `catch_up`.

        What is said of each patient stays in its order; among patients it may change.
        """
        ...

    def catch_up(self) -> Outputs:
        """Do a little of what was put off, and return what it caused."""
        ...

    def left(self) -> Mapping[int, int]:
        """By partition where something is put off, an offset below which nothing is."""
        ...

    def snapshots(
        self, partition: int, share: float = 1.0, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        """(patient_id, frontier offset, state) of what changed since its last snapshot.

        Not of who is put off. Of a share of the partition's patients at least, those first that
        changed longest ago; and of these `also`, if they have not changed.
        """
        ...

    def unstored(self, partition: int) -> int | None:
        """Offset below which every change is in a snapshot that was given; None: all are."""
        ...

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        """Load one patient. `complete` must follow before any record is fed."""
        ...

    def refill(self, records: Sequence[LogRecord]) -> None:
        """Give restored patients the samples back that lie in records below their frontiers."""
        ...

    def complete(self, partition: int) -> None:
        """All patients are restored; raises `SnapshotMismatch` when samples are missing."""
        ...

    def suspects(self, records: Sequence[LogRecord]) -> dict[tuple[int, str], Fault]:
        """(partition, patient) whose own records raise when fed alone; `drop` must follow."""
        ...

    def quarantine(self, patient_id: str, fault: Fault) -> None:
        """From that offset on refuse a patient's records, and say loudly that nobody watches."""
        ...

    def drop(self, partition: int) -> None:
        """Forget a partition that now belongs to another worker."""
        ...


class Prompt(ABC):
    """Of processors that put nobody off."""

    @abstractmethod
    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Apply records in order."""

    def feed_soon(self, records: Sequence[LogRecord]) -> Outputs:
        """The same."""
        return self.feed(records)

    def catch_up(self) -> Outputs:
        """Nothing is left."""
        return Outputs(())

    def left(self) -> Mapping[int, int]:
        """Nowhere."""
        return {}
