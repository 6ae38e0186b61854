"""The short form of the model check; the long one is `python -m benchmarks.bench_model_check`.

Real host, real engine, Kafka in memory: whatever is killed, at whatever step, the outputs are those
of the run without a crash.
"""

from __future__ import annotations

import pytest

from streams.codec import decode
from streams.io.state_store import PatientState
from tests.model_check.crashes import Rules, check
from tests.model_check.logs import random_log
from tests.service.engine_kit import engine

SHORT = range(4)


@pytest.mark.parametrize("seed", SHORT)
def test_kills_at_any_step_change_nothing_that_is_said(seed: int) -> None:
    verdict = check(random_log(seed), seed, engine)
    assert verdict.kills >= 5
    assert verdict.same, verdict


def test_the_logs_hold_everything_that_can_be_wrong() -> None:
    said: dict[str, int] = {}
    for seed in SHORT:
        for record in random_log(seed):
            row = decode(record.value, record.partition, record.offset, record.append_us)
            kind = type(row.record).__name__ if row.record is not None else "refused"
            said[kind] = said.get(kind, 0) + 1
    assert set(said) == {
        "SignalBundle",
        "ClinicalEvent",
        "DeviceStatus",
        "AlertCommand",
        "Tick",
        "refused",
    }


def test_the_control_that_commits_what_it_read_loses() -> None:
    verdict = check(random_log(1), 1, engine, Rules(commit_what_was_read=True))
    assert verdict.lost > 0


def last_written(rows: list[PatientState]) -> list[PatientState]:
    """The newest record of each patient, whoever wrote it."""
    return list({row.patient_id: row for row in rows}.values())


def test_the_control_that_takes_the_last_state_is_fooled_by_a_zombie() -> None:
    rules = Rules(choose=last_written)
    for seed in range(12):
        if not check(random_log(seed), seed, engine, rules).same:
            return
    raise AssertionError("no zombie was noticed")
