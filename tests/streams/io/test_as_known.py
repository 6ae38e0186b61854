"""What was known when: the answers of the store against the rule, and on random histories."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest

from features.asof_join import as_of_join
from features.concepts import INDEX
from service.event_store import known_time_us
from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_rows import Published
from streams.records import ClinicalEvent
from tests.fixtures_database import BASE_US, event

S = 1_000_000


def known(store: Store, at_us: int, **asked: object) -> list[tuple[str, int, float | None]]:
    found = store.known_at(at_us, **asked)  # type: ignore[arg-type]
    return [(row.event.event_id, row.event.version, row.event.value) for row in found]


@pytest.mark.database
def test_a_correction_counts_from_the_time_it_was_known_and_a_cancellation_removes(
    any_store: Store,
) -> None:
    first = event(1, known_time_us=BASE_US + 10 * S)
    any_store.insert_events(
        [
            first,
            event(1, version=2, status="corrected", value=99.0, known_time_us=BASE_US + 20 * S),
            event(1, version=3, status="cancelled", value=None, known_time_us=BASE_US + 30 * S),
        ]
    )
    assert known(any_store, BASE_US + 10 * S - 1) == []
    assert known(any_store, BASE_US + 10 * S) == [("e000001", 1, 61.25)]
    assert known(any_store, BASE_US + 20 * S) == [("e000001", 2, 99.0)]
    assert known(any_store, BASE_US + 30 * S) == []


@pytest.mark.database
def test_the_highest_version_wins_whatever_the_order_of_arrival(any_store: Store) -> None:
    any_store.insert_events([event(1, version=5, value=5.0, known_time_us=BASE_US + 10 * S)])
    any_store.insert_events([event(1, version=4, value=4.0, known_time_us=BASE_US + 20 * S)])
    assert known(any_store, BASE_US + 30 * S) == [("e000001", 5, 5.0)]


@pytest.mark.database
def test_a_correction_may_move_an_event_in_time_or_to_another_concept(store: Store) -> None:
    store.insert_events(
        [
            event(1, known_time_us=BASE_US),
            event(1, version=2, code="sbp", event_time_us=BASE_US - S, known_time_us=BASE_US + S),
        ]
    )
    assert known(store, BASE_US + S, concepts=["hr"]) == []
    assert known(store, BASE_US, concepts=["hr"]) == [("e000001", 1, 61.25)]
    assert known(store, BASE_US + S, concepts=["sbp"]) == [("e000001", 2, 61.25)]


@pytest.mark.database
def test_what_the_engine_could_use_is_what_was_on_the_log(any_store: Store) -> None:
    any_store.insert_events([event(n, known_time_us=BASE_US) for n in (1, 2)])
    mark = Published("e000001", 1, event(1).event_time_us, 0, 0, BASE_US + 5 * S)
    any_store.feed.mark(0, [mark], done=True)
    assert known(any_store, BASE_US + 5 * S - 1, as_used=True) == []
    assert known(any_store, BASE_US + 5 * S, as_used=True) == [("e000001", 1, 61.25)]
    assert len(known(any_store, BASE_US + 5 * S)) == 2


@pytest.mark.database
def test_only_the_patients_asked_for_are_answered(store: Store) -> None:
    store.insert_events([event(n, f"p{n}") for n in range(4)])
    late = BASE_US + 3600 * S
    assert [row[0] for row in known(store, late, patient_ids=["p1", "p3"])] == [
        "e000001",
        "e000003",
    ]
    assert known(store, late, patient_ids=[]) == []


@pytest.mark.database
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_force_in_sql_is_what_the_engines_join_says(
    any_store: Store, any_edition_dsn: str, seed: int
) -> None:
    """Random histories with corrections, ties and late rows; the offline twin is the oracle."""
    chance = random.Random(seed)
    rows = [_random_event(chance) for _ in range(120)]
    any_store.insert_events(rows)
    order = list(any_store.stored_events(["p1"], 0, 2**62))
    offsets = [row.event for row in order]
    marks = [
        Published(e.event_id, e.version, e.event_time_us, 0, n, row.effective_known_us)
        for n, (row, e) in enumerate(zip(order, offsets, strict=True))
    ]
    any_store.feed.mark(0, marks, done=True)
    at = [
        (BASE_US + chance.randrange(60) * S, BASE_US + chance.randrange(90) * S) for _ in range(40)
    ]
    values, times_us = as_of_join(
        offsets,
        [mark.append_us for mark in marks],
        np.array([t for t, _ in at]),
        np.array([k for _, k in at]),
    )
    with psycopg.connect(any_edition_dsn) as connection:
        for row, (t_us, k_us) in enumerate(at):
            found = connection.execute(
                "SELECT concept, value, (extract(epoch FROM event_time) * 1000000)::int8 "
                "FROM vigil_in_force(%s, %s, '{p1}', NULL, true)",
                (_stamp(t_us), _stamp(k_us)),
            ).fetchall()
            told = {concept: (value, time_us) for concept, value, time_us in found}
            for concept in ("hr", "sbp"):
                expected = values[row, INDEX[concept]]
                if np.isnan(expected):
                    assert concept not in told
                else:
                    assert told[concept] == (expected, times_us[row, INDEX[concept]])


def _random_event(chance: random.Random) -> ClinicalEvent:
    time_us = BASE_US + chance.randrange(20) * S  # many ties
    version = chance.randrange(1, 4)
    code = chance.choice(["hr", "sbp"])
    status = chance.choice(["final", "corrected", "cancelled"]) if version > 1 else "final"
    return event(
        chance.randrange(50),
        version=version,
        status=status,
        code=code,
        unit="/min" if code == "hr" else "mmHg",
        value=None if status == "cancelled" else float(chance.randrange(60, 120)),
        event_time_us=time_us,
        known_time_us=time_us + chance.randrange(60) * S,
    )


def _stamp(time_us: int) -> str:
    seconds, micros = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros).isoformat()


def test_a_time_without_a_zone_is_refused() -> None:
    for text in ("2024-03-01T10:00:00", "yesterday", "", "2024-13-01T00:00Z"):
        with pytest.raises(ConfigError, match="not ISO 8601 with a zone"):
            known_time_us(text)
