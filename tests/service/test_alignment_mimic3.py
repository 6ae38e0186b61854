"""The MIMIC-III demo, hour by hour: what a live store answers is what the offline join finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.asof import AsOf, facts_at
from features.asof_join import as_of_join, track_rows
from features.fact_windows import windows_at, windows_join
from features.facts import TRACK, TRACKS
from streams.records import ClinicalEvent
from tests.service.importers.kit import read

S = 1_000_000
HOUR_US = 3600 * S
DELAY_US = 13 * S  # between the end of a window and its decision, as the engine waits
WINDOWED = [TRACK[c] for c in ("hr", "sbp", "temp", "lactate", "effect:insulin", "norepinephrine")]
MOST_HOURS = 400  # of a patient; some stay for weeks

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def histories(archive: Callable[[str], Path]) -> dict[str, list[ClinicalEvent]]:
    """Every patient's events in the order in which they became known."""
    events, _, _ = read(archive("mimic3_demo"))
    by_patient = defaultdict(list)
    for event in events:
        by_patient[event.patient_id].append(event)
    for own in by_patient.values():
        own.sort(key=lambda event: event.known_time_us)
    return dict(by_patient)


def test_every_hour_of_every_patient_is_equal_row_by_row(
    histories: dict[str, list[ClinicalEvent]],
) -> None:
    rows = values = 0
    for events in histories.values():
        append_us = [event.known_time_us for event in events]
        first_us = append_us[0] // HOUR_US * HOUR_US
        end_us = np.arange(first_us, append_us[-1] + HOUR_US, HOUR_US)[:MOST_HOURS]
        known_us = end_us + DELAY_US
        joined = as_of_join(events, append_us, end_us, known_us)
        store, at = AsOf(), 0
        for row in range(len(end_us)):
            while at < len(events) and append_us[at] <= known_us[row]:
                store.insert(events[at], append_us[at])
                at += 1
            live = facts_at([store], end_us[row : row + 1], known_us[row : row + 1])
            np.testing.assert_array_equal(live.value[0], joined.value[row])
            np.testing.assert_array_equal(live.time_us[0], joined.time_us[row])
        rows += len(end_us)
        values += int((~np.isnan(joined.value)).sum())
    assert len(histories) >= 60
    assert rows > 5_000
    assert values > 20 * rows


def test_windows_of_facts_are_equal_wherever_the_store_has_them_whole(
    histories: dict[str, list[ClinicalEvent]],
) -> None:
    asked = whole = 0
    for events in list(histories.values())[:20]:
        append_us = [event.known_time_us for event in events]
        first_us = append_us[0] // HOUR_US * HOUR_US
        end_us = np.arange(first_us, append_us[-1] + HOUR_US, 6 * HOUR_US)[:40]
        known_us = end_us + DELAY_US
        joined = windows_join(track_rows(events, append_us), end_us, known_us, WINDOWED)
        store, at = AsOf(), 0
        for row in range(len(end_us)):
            while at < len(events) and append_us[at] <= known_us[row]:
                store.insert(events[at], append_us[at])
                at += 1
            live = windows_at([store], end_us[row : row + 1], known_us[row : row + 1], WINDOWED)
            there = ~np.isnan(live.n[0])
            for one, other in (
                (live.n, joined.n),
                (live.mean, joined.mean),
                (live.high, joined.high),
            ):
                np.testing.assert_array_equal(one[0][there], other[row][there])
            np.testing.assert_array_equal(live.last[0], joined.last[row])
            asked += there.size
            whole += int(there.sum())
    assert whole / asked > 0.9


def test_the_demo_shows_care_that_explains(histories: dict[str, list[ClinicalEvent]]) -> None:
    """Prescriptions and infusions of the demo reach the effects they are for."""
    found = set()
    for events in histories.values():
        groups = np.unique(track_rows(events, [e.known_time_us for e in events]).group)
        found |= {
            TRACKS[number] for number in groups.tolist() if TRACKS[number].startswith("effect")
        }
    assert found >= {"effect:vasopressor", "effect:insulin", "effect:opioid", "effect:beta_blocker"}
