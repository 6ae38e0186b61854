"""What counts as silence of a signal, through the whole engine."""

from __future__ import annotations

from streams.history import Timed
from streams.records import Chunk
from tests.service.engine_kit import log_of, run, wristband


def without(history: list[Timed], signal: str, from_s: float) -> list[Timed]:
    """A history in which a signal stops."""
    start_us = history[0][0]
    return [
        (us, what)
        for us, what in history
        if not (isinstance(what, Chunk) and what.signal == signal and us - start_us > from_s * 1e6)
    ]


def lost(signal: str) -> set[str]:
    """Conditions raised when a wristband's signal stops after a minute of three and a half."""
    results = run(log_of([without(wristband("w", 210.0), signal, 60.0)]))
    return {a.condition.code for a in results.alerts if a.phase == "raised"}


def test_a_wave_that_stops_while_the_device_goes_on_is_told() -> None:
    assert "no_data:ppg" in lost("ppg")


def test_intervals_that_stop_while_the_device_goes_on_are_no_fault() -> None:
    assert lost("rr_interval") == set()
