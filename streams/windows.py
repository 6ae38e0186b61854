"""Which `[start_us, end_us)` are due. Pure arithmetic on the event-time grid."""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """One window of one patient, decided at `known_us`: nothing known later may enter it."""

    patient_id: str
    name: str  # "60s", "300s"
    start_us: int
    end_us: int
    known_us: int
    revision: int = 0
