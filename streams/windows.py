"""Which `[start_us, end_us)` are due, and when they are decided.

Invariant: windows of a patient leave in order of their end, each once; their decision time does
not depend on chunk sizes or arrival order while data keeps coming within the lateness.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.clock import TimingSpec

HOP_US = 10_000_000


class Window(NamedTuple):
    """One window of one patient, decided at `known_us`: nothing known later may enter it."""

    patient_id: str
    name: str  # "60s", "300s", "3600s", "86400s"
    start_us: int
    end_us: int
    known_us: int
    revision: int = 0


class WindowSpec(NamedTuple):
    """A window length and how often it is computed; `hop_us` is a multiple of `HOP_US`."""

    name: str
    length_us: int
    hop_us: int


HOUR_US = 3_600_000_000
LONGEST_US = 300_000_000  # over segments; longer windows are views over the rows of these
WINDOWS = (
    WindowSpec("60s", 60_000_000, HOP_US),
    WindowSpec("300s", LONGEST_US, 60_000_000),
    WindowSpec("3600s", HOUR_US, LONGEST_US),
    WindowSpec("86400s", 24 * HOUR_US, HOUR_US),
)


def windows_ending(patient_id: str, end_us: int, known_us: int) -> tuple[Window, ...]:
    """Every window of `WINDOWS` that ends at `end_us`, shortest first.

    Examples
    --------
    >>> [w.name for w in windows_ending("p", 360_000_000, 0)]
    ['60s', '300s']
    >>> [w.name for w in windows_ending("p", 130_000_000, 0)]
    ['60s']
    """
    return tuple(
        Window(patient_id, spec.name, end_us - spec.length_us, end_us, known_us)
        for spec in WINDOWS
        if end_us % spec.hop_us == 0
    )


def first_end(event_us: int) -> int:
    """End of the first window that holds `event_us`."""
    return event_us // HOP_US * HOP_US + HOP_US


def decision_us(end_us: int, slack_us: int, clock_us: int, timing: TimingSpec) -> int:
    """When a window is decided: its end + context + lateness, unless its data came much later.

    A fixed delay, not the moment the closing chunk happened to arrive: chunk sizes must not
    decide which laboratory result counts.

    Parameters
    ----------
    end_us, slack_us, clock_us : int
        The window's end, the longest context, and the patient's append clock, in µs.
    """
    planned_us = end_us + slack_us + timing.slab_us
    late_us = clock_us - planned_us
    return planned_us if 0 <= late_us <= timing.us(timing.wait_s) else clock_us
