"""What a record of the log makes due for a patient: queued in log order, carried out in batches.

Not here: who queues them (`service.patient`), what they do (`service.settle`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from features.facts import Fact
from streams.records import AlertCommand, DeviceStatus, Reason
from streams.segments import Segment
from streams.windows import Window


class Cause(NamedTuple):
    """The record behind an operation: its place in this `feed`, and the patient's clock then."""

    at: int  # index of the record
    clock_us: int


class SegmentOp(NamedTuple):
    """Analyse a segment and keep its primitives."""

    cause: Cause
    segment: Segment


class WindowOp(NamedTuple):
    """Compute, score and judge the windows that end here."""

    cause: Cause
    windows: tuple[Window, ...]
    pages: bool  # False for backfill: it is computed, and wakes nobody


class EventOp(NamedTuple):
    """Take in a clinical event."""

    cause: Cause
    fact: Fact


class TickOp(NamedTuple):
    """Let timers run."""

    cause: Cause
    now_us: int


class SignalOp(NamedTuple):
    """A signal went silent, or came back (`since_us` 0)."""

    cause: Cause
    signal: str
    device_id: str
    since_us: int


class FaultOp(NamedTuple):
    """The patient is taken out, or back in (`reason` empty)."""

    cause: Cause
    reason: str


class ClockOp(NamedTuple):
    """A device's clock was found wrong by `ahead_us`, or right again (0)."""

    cause: Cause
    device_id: str
    ahead_us: int


class StatusOp(NamedTuple):
    """What a device says of itself."""

    cause: Cause
    status: DeviceStatus


class CommandOp(NamedTuple):
    """What a person asks."""

    cause: Cause
    command: AlertCommand


class Took(NamedTuple):
    """What became of a record's chunks, beside operations."""

    faults: list[tuple[int, Reason]]  # position in the bundle, why it was refused
    duplicates: int  # samples that were there already
    gap_us: int  # that signals went on later than where they had ended


Op = SegmentOp | WindowOp | EventOp | TickOp | SignalOp | FaultOp | ClockOp | StatusOp | CommandOp


def up_to(ops: Iterable[Op], most: int) -> Iterator[Op]:
    """What comes up to so many windows, at least one, and no further."""
    for op in ops:
        yield op
        most -= isinstance(op, WindowOp)
        if not most:
            return
