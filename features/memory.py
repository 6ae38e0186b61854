"""All that one patient's analysis remembers between records."""

from __future__ import annotations

from typing import Any

from features.axes import AxisJoiner
from features.rings import Rings
from streams.errors import SnapshotMismatch


class Memory:
    """Primitives, and axes that wait for each other; every part is bounded."""

    __slots__ = ("axes", "rings")

    def __init__(self) -> None:
        self.rings = Rings()
        self.axes = AxisJoiner()

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [self.rings.to_state(), self.axes.to_state()]

    @classmethod
    def from_state(cls, state: Any) -> Memory:
        """The memory that gave the state.

        Raises
        ------
        SnapshotMismatch
            If the state is of another version or not whole.
        """
        memory = cls()
        try:
            rings, axes = state
            memory.rings = Rings.from_state(rings)
            memory.axes = AxisJoiner.from_state(axes)
        except (TypeError, ValueError, KeyError) as error:
            raise SnapshotMismatch(f"a patient's memory cannot be read: {error}") from error
        return memory
