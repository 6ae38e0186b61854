"""The three axes of an accelerometer, brought together segment by segment.

Axes travel as signals of their own and may be cut by different records; movement needs all three
at once. What waits for its siblings is raw, so only little may wait.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from features.signals import AXES
from streams.segments import Segment

_HEAD: Final = Segment._fields.index("data")  # fields before the samples
MOST_WAITING: Final = 4  # starts per patient; an axis that comes later finds nothing to join


class Triple(NamedTuple):
    """The same 10 s of one device's x, y and z."""

    x: Segment
    y: Segment
    z: Segment


class AxisJoiner:
    """Segments of single axes, until the third of a kind is there.

    Invariant: what is returned depends on the order of the segments only, not on how they were
    grouped into calls.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], dict[str, Segment]] = {}

    def add(self, segment: Segment) -> Triple | None:
        """Take one axis; the triple it completes, if it does."""
        key = (segment.device_id, segment.start_us)
        axes = self._waiting.setdefault(key, {})
        axes[segment.signal] = segment
        if len(axes) < len(AXES):
            while len(self._waiting) > MOST_WAITING:
                del self._waiting[next(iter(self._waiting))]
            return None
        del self._waiting[key]
        return Triple(*(axes[axis] for axis in AXES))

    def to_state(self) -> list[Any]:
        """What waits, as values MessagePack can hold."""
        return [
            [*segment[:_HEAD], segment.samples.astype("<f4").tobytes()]
            for axes in self._waiting.values()
            for segment in axes.values()
        ]

    @classmethod
    def from_state(cls, state: list[Any]) -> AxisJoiner:
        """The joiner that gave the state."""
        joiner = cls()
        for item in state:
            fields = [*item[:-1], np.frombuffer(item[-1], np.float32)]
            segment = Segment(*fields)
            joiner._waiting.setdefault((segment.device_id, segment.start_us), {})[
                segment.signal
            ] = segment
        return joiner
