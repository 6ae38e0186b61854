"""T1D-UOM through the engine: watch, glucose sensor and steps as streams, care as events."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from service.embedded import numbered
from service.history import history, patients_of, spec_for
from service.importers.reading import read_events
from service.results import Results
from streams.io.files.recording import Recording, Signal
from streams.io.files.registry import open_source
from streams.records import ClinicalEvent
from tests.service.engine_kit import PARTITIONS, START_US, S, chunks_of, collected, engine, log_of

PERSON = "t1d_2309"
BEGIN_US = 1_709_229_600_000_000  # 2024-02-29T18:00:00Z, an evening with all of it
HOURS = 4
MINUTE_US = 60 * S


@pytest.fixture(scope="module")
def recordings(archive: Callable[[str], Path]) -> list[Recording]:
    """One evening of one person, by device."""
    folder = archive("t1d_uom")
    files = (
        "Sleep Data/UoMsleep2309.csv",
        "Glucose Data/UoMGlucose2309.csv",
        "Activity Data/UoMActivity2309.csv",
    )
    found = [recording for name in files for recording in open_source(folder / name)]
    return [r._replace(signals=tuple(evening(s) for s in r.signals)) for r in found]


def evening(signal: Signal) -> Signal:
    span_us = (BEGIN_US, BEGIN_US + HOURS * 3600 * S)
    first, end = (math.ceil((us - signal.start_us) * signal.fs_hz / 1e6) for us in span_us)
    start_us = signal.start_us + round(first * 1e6 / signal.fs_hz)
    return signal._replace(samples=signal.samples[first:end], start_us=start_us)


@pytest.fixture(scope="module")
def care(archive: Callable[[str], Path]) -> list[tuple[int, ClinicalEvent]]:
    """The person's doses and meals of that evening."""
    folder = archive("t1d_uom")
    files = (
        "Insulin Data/Bolus Data/UoMBolus2309.csv",
        "Insulin Data/Basal Data/UoMBasal2309.csv",
        "Nutrition Data/UoMNutrition2309.csv",
    )
    found = [event for name in files for event in read_events(folder / name, {PERSON: BEGIN_US})]
    return [
        (event.known_time_us, event)
        for event in found
        if isinstance(event, ClinicalEvent)
        and 0 <= event.known_time_us - BEGIN_US < HOURS * 3600 * S
    ]


@pytest.fixture(scope="module")
def results(recordings: list[Recording], care: list[tuple[int, ClinicalEvent]]) -> Results:
    spec = spec_for(patients_of(recordings, care), PARTITIONS)
    log = list(numbered(spec.build(history(recordings, care))))
    return collected(engine().feed(log).messages)


def values(results: Results, name: str, window: str) -> dict[int, float]:
    """Values of a feature by the end of their window."""
    found = {
        row.end_us: row.values[name]
        for row in results.features
        if row.window == window and row.values.get(name) is not None
    }
    return {end_us: float(value) for end_us, value in found.items() if value is not None}


def taken(recordings: list[Recording], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a signal's readings."""
    (signal,) = (s for r in recordings for s in r.signals if s.name == name)
    at = np.flatnonzero(np.isfinite(signal.samples))
    times_us = signal.start_us + np.round(at * 1e6 / signal.fs_hz).astype(np.int64)
    return times_us, signal.samples[at]


pytestmark = pytest.mark.data


class Stream(NamedTuple):
    feature: str
    factor: float
    seen: float  # share of the readings that must be in some window


STREAMS = {
    "glucose": Stream("glucose_mean_mmol_per_l", 1.0, 0.95),
    "step_rate": Stream("step_rate_per_min", 1.0, 0.9),
    "asleep": Stream("asleep_pct", 100.0, 0.95),
    "hr": Stream("hr_mean_bpm", 1.0, 0.9),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_reaches_its_feature_with_the_readings_of_the_file(
    recordings: list[Recording], results: Results, name: str
) -> None:
    feature, factor, _ = STREAMS[name]
    length_us = 5 * MINUTE_US
    found, (times_us, readings) = values(results, feature, "300s"), taken(recordings, name)
    assert len(found) > 20
    for end_us, value in found.items():
        inside = (times_us >= end_us - length_us) & (times_us < end_us)
        assert value == pytest.approx(factor * readings[inside].mean(), rel=2e-3, abs=1e-9)
    seen = [t for t in times_us if any(end - length_us <= t < end for end in found)]
    assert len(seen) >= STREAMS[name].seen * len(times_us)


def test_the_hour_has_the_trend_of_glucose_and_the_time_below_3_9(
    recordings: list[Recording], results: Results
) -> None:
    times_us, readings = taken(recordings, "glucose")
    trend = values(results, "glucose_slope_mmol_per_l_per_h", "3600s")
    low = values(results, "glucose_low_pct", "3600s")
    assert len(trend) > 10
    assert trend.keys() == low.keys()
    for end_us, slope in trend.items():
        inside = (times_us >= end_us - 3600 * S) & (times_us < end_us)
        rows = (times_us[inside] - (end_us - 3600 * S)) // (300 * S)
        assert len(set(rows.tolist())) == inside.sum(), "one reading in five minutes"
        line = np.polyfit((rows + 0.5) / 12, readings[inside], 1)
        assert slope == pytest.approx(line[0], abs=0.01)
        assert low[end_us] == pytest.approx(100 * (readings[inside] < 3.9).mean(), abs=1e-3)


def test_nothing_of_it_is_refused_or_called_silent(
    results: Results, care: list[tuple[int, ClinicalEvent]]
) -> None:
    """A sensor that speaks every quarter of an hour is not lost in between."""
    assert {event.code for _, event in care} >= {"insulin_bolus", "carbs"}
    assert not results.dead
    assert not results.alerts


@pytest.mark.parametrize(("signal", "lost_s"), [("glucose", 2700.0), ("hr", 180.0)])
def test_a_sensor_that_stops_is_missed_after_three_of_its_own_intervals(
    signal: str, lost_s: float
) -> None:
    samples = np.full(30, 60.0 if signal == "hr" else 6.0)
    sent = chunks_of("p", signal, samples, 1 / 60, 1, unit=UNITS[signal])
    other = chunks_of("p", "spo2", np.full(6000, 97.0), 1.0, 30, device_id="other")
    said = collected(engine().feed(log_of([sent, other])).messages)
    lost = [
        (a.recorded_us - START_US) / S - 30 * 60.0
        for a in said.alerts
        if a.condition.code == "no_data:" and a.phase == "raised"
    ]
    assert len(lost) == 1
    assert lost_s - 10 < lost[0] <= lost_s


UNITS = {"glucose": "mmol/L", "hr": "1/min"}
