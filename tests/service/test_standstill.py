"""A heart whose ventricles stand still has no heart rate, and somebody is told within a minute."""

from __future__ import annotations

import numpy as np
import pytest

from service.results import Results
from streams.history import Timed
from streams.processor import Output
from tests.service.engine_kit import (
    PARTITIONS,
    START_US,
    S,
    chunks_of,
    collected,
    engine,
    log_of,
    revived,
    run,
    status,
)

FS_HZ = 125.0
STILL_S, BACK_S, SECONDS = 120.0, 240.0, 330.0


def heart(patient_id: str, chunk_s: float = 2.0) -> list[Timed]:
    """Beats, P waves alone for two minutes, beats again; then the device is switched off."""
    t = np.arange(round(SECONDS * FS_HZ)) / FS_HZ
    x = np.random.default_rng(3).normal(0, 0.004, t.size)
    for at_s in np.arange(0.5, SECONDS, 0.8):
        beats = not STILL_S <= at_s < BACK_S
        qrs = ((1.0, 0.17, 0.012), (0.25, 0.44, 0.045)) if beats else ()
        for height, delay, width in ((0.16, 0.0, 0.022), *qrs):
            first = max(0, round((at_s + delay - 0.2) * FS_HZ))
            near = slice(first, first + round(0.4 * FS_HZ))
            x[near] += height * np.exp(-0.5 * ((t[near] - at_s - delay) / width) ** 2)
    rows = chunks_of(patient_id, "ecg", x, FS_HZ, [round(chunk_s * FS_HZ)])
    return [*rows, status(patient_id, "off", SECONDS + 0.1)]


@pytest.fixture(scope="module")
def said() -> Results:
    return run(log_of([heart("still")]), [50])


def test_a_heart_that_stands_still_is_never_given_a_rate(said: Results) -> None:
    windows = [row for row in said.features if row.window == "60s"]
    within = [
        row
        for row in windows
        if START_US + (STILL_S + 40) * S <= row.end_us <= START_US + BACK_S * S
    ]
    assert len(within) >= 8
    assert {row.reason["ecg_hr_bpm"] for row in within} == {"no_qrs"}
    assert {row.values["ecg_hr_bpm"] for row in within} == {None}


def test_somebody_is_told_within_a_minute_and_again_when_beats_are_back(said: Results) -> None:
    own = [a for a in said.alerts if a.condition.code == "no_qrs"]
    assert [a.phase for a in own[:2]] == ["raised", "cleared"]
    raised, cleared = own[:2]
    assert (raised.kind, raised.priority) == ("technical", "high")
    assert START_US + STILL_S * S <= raised.onset_us <= START_US + (STILL_S + 10) * S
    assert raised.recorded_us <= START_US + (STILL_S + 60) * S
    assert START_US + BACK_S * S < cleared.recorded_us <= START_US + (BACK_S + 40) * S


def test_how_signals_are_cut_and_batched_changes_nothing(said: Results) -> None:
    alone = run(log_of([heart("still", chunk_s=5.0)]), [1])
    assert alone.features == said.features
    assert [a.occurrence_id for a in alone.alerts] == [a.occurrence_id for a in said.alerts]


def test_a_restart_in_the_middle_of_it_changes_nothing(said: Results) -> None:
    log = log_of([heart("still")])
    states: dict[tuple[int, str], bytes] = {}
    machine, told = engine(), list[Output]()
    for begin in range(0, len(log), 25):
        told.extend(machine.feed(log[begin : begin + 25]).messages)
        for number in range(PARTITIONS):
            states |= {(number, name): state for name, _, state in machine.snapshots(number)}
        machine = revived(states, log)
    assert collected(told).digests == said.digests
