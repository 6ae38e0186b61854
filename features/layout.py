"""What the numbers of a signal's events and segments mean: the order of `extra` and `stats`.

Fixed per kind of signal, so that the rings of a patient are plain arrays and a snapshot needs no
names.
"""

from __future__ import annotations

from typing import Final

from features.signal_ring import Shape
from features.signals import MOTION, SIGNALS, SignalKind

EVENT_NUMBERS: Final[dict[SignalKind, tuple[str, ...]]] = {}
SEGMENT_NUMBERS: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.MOTION: ("enmo_mg", "n"),
}
_PLAIN: Final = Shape(0, 0)
_KINDS: Final = {name: signal.kind for name, signal in SIGNALS.items()} | {
    MOTION: SignalKind.MOTION
}
_SHAPES: Final = {
    name: Shape(len(EVENT_NUMBERS.get(kind, ())), len(SEGMENT_NUMBERS.get(kind, ())))
    for name, kind in _KINDS.items()
}
# What is needed from before the longest window: intervals for the rhythm that the first ones are
# judged by, saturation for the level that a fall is measured from.
_LEADS_US: Final = {
    SignalKind.ECG: 60_000_000,
    SignalKind.RR: 60_000_000,
}


def lead_of(signal: str) -> int:
    """How far before a window the segments of a signal are wanted, µs."""
    return _LEADS_US.get(_KINDS.get(signal, SignalKind.SCALAR), 0)


def shape_of(signal: str) -> Shape:
    """How many numbers the events and segments of a signal carry; none for an unknown one."""
    return _SHAPES.get(signal, _PLAIN)
