"""All that one patient's analysis remembers between records."""

from __future__ import annotations

from typing import Any

from features.axes import AxisJoiner
from features.calibrations import Calibrations
from features.feature import FeatureReason
from features.history import (
    DAY_FEATURES,
    DAY_ROW,
    FIVE_MINUTES_US,
    HOUR_ROW,
    HOUR_US,
    N_DAY,
    N_FIVE,
    N_HOURS,
)
from features.kept import Kept, kept_of
from features.layout import shape_of
from features.personal import Personal
from features.primitives import Primitives
from features.rings import Rings
from features.steps import Steps
from features.usual_beats import ECTOPIC, UsualBeats
from streams.errors import SnapshotMismatch


class Memory:
    """Primitives, axes that wait for each other, rows of five minutes, what is personal.

    Invariant: every part is bounded, and what each holds depends on the patient's log only.
    """

    __slots__ = ("axes", "calibrations", "day", "five", "hours", "personal", "rings", "usual")

    def __init__(self) -> None:
        self.rings = Rings()
        self.axes = AxisJoiner()
        self.five = Steps(N_FIVE, HOUR_ROW.n, FIVE_MINUTES_US)
        self.day = Steps(N_DAY, len(DAY_FEATURES), FIVE_MINUTES_US)
        self.hours = Steps(N_HOURS, DAY_ROW.n, HOUR_US)
        self.personal = Personal()
        self.calibrations = Calibrations()
        self.usual = UsualBeats()

    def keep(self, p: Primitives) -> None:
        """Keep an analysed segment, as far as what is usual for the patient lets believe it."""
        self.keep_bytes(kept_of(p, shape_of(p.signal).shape, ECTOPIC))

    def keep_bytes(self, p: Kept) -> None:
        """The same of a segment as bytes."""
        if p.heights is not None and self.usual.refuses(p):
            p = p.refused(FeatureReason.NO_QRS)
        self.rings.keep(p)

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [
            self.rings.to_state(),
            self.axes.to_state(),
            self.five.to_state(),
            self.day.to_state(),
            self.hours.to_state(),
            self.personal.to_state(),
            self.calibrations.to_state(),
            self.usual.to_state(),
        ]

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
            rings, axes, five, day, hours, personal, calibrations, usual = state
            memory.rings = Rings.from_state(rings)
            memory.axes = AxisJoiner.from_state(axes)
            memory.five.load(five)
            memory.day.load(day)
            memory.hours.load(hours)
            memory.personal = Personal.from_state(personal)
            memory.calibrations = Calibrations.from_state(calibrations)
            memory.usual = UsualBeats.from_state(usual)
        except (TypeError, ValueError, KeyError) as error:
            raise SnapshotMismatch(f"a patient's memory cannot be read: {error}") from error
        return memory
