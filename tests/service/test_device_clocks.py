"""A patient whose device has a wrong clock is watched like any other, and somebody is told."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from service.results import Results
from streams.history import Timed
from streams.records import Chunk
from tests.service.engine_kit import START_US, S, log_of, patient, run, status

HOUR_US = 3_600 * S
SECONDS = 420.0


def sick(says: Callable[[int], int]) -> list[Timed]:
    """Somebody who deteriorates, with a device whose clock shows `says` of the true time."""
    rows = patient("sick", SECONDS, rate_bpm=135, breaths=28, spo2=90.0)
    return [
        (at_us, msgspec.structs.replace(row, start_us=says(row.start_us)))
        if isinstance(row, Chunk)
        else (at_us, row)
        for at_us, row in rows
    ]


def said(says: Callable[[int], int]) -> Results:
    return run(log_of([sick(says)]), [50])


RIGHT = said(lambda us: us)


@pytest.mark.parametrize("by_us", [-HOUR_US, 3 * 24 * HOUR_US])
def test_a_clock_that_is_set_changes_nothing_but_that_it_is_told(by_us: int) -> None:
    found = said(lambda us: us + (by_us if us >= START_US + 150 * S else 0))
    assert found.features == RIGHT.features
    assert found.scores == RIGHT.scores
    own = [a for a in found.alerts if a.condition.code == "device_clock"]
    assert own[0].phase == "raised"
    assert len({a.occurrence_id for a in own}) == 1
    word = "3600 s behind" if by_us < 0 else "259200 s ahead"
    assert word in str(own[0].text)
    rest = [a for a in found.alerts if a.condition.code != "device_clock"]
    assert [a.event_id for a in rest] == [a.event_id for a in RIGHT.alerts]


def test_a_clock_that_is_wrong_from_the_start_wakes_somebody_within_minutes() -> None:
    found = said(lambda us: us - HOUR_US)
    raised = [a for a in found.alerts if a.phase == "raised"]
    assert {a.condition.code for a in raised} >= {"device_clock", "deterioration"}
    late = [row for row in found.features if row.end_us > START_US + 200 * S]
    assert late, "its data are where they belong"


def test_the_gateways_word_ends_the_alert() -> None:
    """It says by how much the clock is off; from then on that counts, and nothing is to be told."""
    rows = sick(lambda us: us - HOUR_US)
    found = run(log_of([rows, [status("sick", "worn", 300.0, clock_offset_us=HOUR_US)]]))
    own = [a for a in found.alerts if a.condition.code == "device_clock"]
    assert own[0].phase == "raised"
    assert own[-1].state.condition == "cleared"
    assert {row.end_us for row in found.features} <= {row.end_us for row in RIGHT.features} | {
        row.end_us for row in found.features if row.end_us < START_US
    }


def test_the_alert_ends_when_the_clock_is_right_again() -> None:
    found = said(lambda us: us - (HOUR_US if 100 * S <= us - START_US < 160 * S else 0))
    own = [a for a in found.alerts if a.condition.code == "device_clock"]
    assert own[0].phase == "raised"
    assert own[-1].state.condition == "cleared"
    assert not found.dead
