"""Retention: what is old goes, whole; what waits stays; each edition gets what it can run."""

from __future__ import annotations

import psycopg
import pytest

from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_quarantine import QuarantineRecord, Selection
from streams.io.store_rows import Published, ScoreRecord
from streams.io.upkeep import COMMUNITY, Keep, hourly_sql, policy_sql, retention_sql
from tests.fixtures_database import DAY_US, alert, event, feature

ALL = Keep(
    (
        ("clinical_events", 365.0),
        ("features", 30.0),
        ("scores", 90.0),
        ("alerts", 365.0),
        ("event_quarantine", 30.0),
    ),
    7.0,
)


def test_the_community_edition_gets_policies_for_what_is_bulky() -> None:
    lines = policy_sql(COMMUNITY, ALL)
    text = "\n".join(lines)
    for table, days in (("features", 30), ("scores", 90)):
        assert f"add_retention_policy('{table}', interval '{days} days')" in text
        assert f"add_compression_policy('{table}', interval '7 days')" in text
        assert f"ALTER TABLE {table} SET (timescaledb.compress" in text
    assert "clinical_events" not in text, "facts that wait for the log must not be dropped"
    hourly = "\n".join(hourly_sql(COMMUNITY))
    assert "timescaledb.continuous" in hourly
    assert "add_continuous_aggregate_policy" in hourly


def test_a_policy_that_is_no_longer_wanted_is_removed_not_added() -> None:
    text = "\n".join(policy_sql(COMMUNITY, Keep()))
    assert text.count("remove_retention_policy") == 2
    assert text.count("remove_compression_policy") == 2
    assert "add_" not in text


@pytest.mark.parametrize("edition", ["timescale-apache", "postgresql"])
def test_the_other_editions_get_no_statement_they_cannot_run(edition: str) -> None:
    assert policy_sql(edition, ALL) == ()
    assert "continuous" not in "\n".join(hourly_sql(edition))


def test_every_table_gets_its_days_and_null_is_for_ever() -> None:
    lines = retention_sql(ALL._replace(days=(("features", 1.5),)))
    assert len(lines) == 5
    (features,) = [line for line in lines if "'features'" in line]
    assert "interval '1.5 days'" in features
    assert sum("NULL::interval" in line for line in lines) == 4


@pytest.mark.parametrize(
    "keep",
    [
        Keep((("patients", 3.0),)),
        Keep((("features", 0.5),)),
        Keep((("features", -1.0),)),
        Keep((("features", float("nan")),)),
        Keep((), 0.1),
        Keep((), float("inf")),
    ],
)
def test_impossible_retention_is_refused(keep: Keep) -> None:
    with pytest.raises(ConfigError, match="retention"):
        keep.checked()


@pytest.mark.database
def test_nothing_is_dropped_unless_someone_said_so(any_store: Store) -> None:
    any_store.write_features([feature(n) for n in range(3)])
    assert any_store.upkeep() == {}
    assert any_store.counts()["features"] == 3


@pytest.mark.database
def test_old_rows_go_and_what_waits_stays(any_store: Store, any_edition_dsn: str) -> None:
    now_us = any_store.now_us()
    new = {"event_time_us": now_us - DAY_US, "known_time_us": now_us - DAY_US}
    any_store.insert_events([event(1), event(2, **new)])
    any_store.write_features([feature(1), feature(1)._replace(end_us=now_us - DAY_US)])
    any_store.write_scores([ScoreRecord("p1", "n", "m", 1, now_us, now_us, 0, 5.0, b"{}")])
    any_store.write_alerts([alert(1), alert(2)._replace(recorded_us=now_us)])
    any_store.write_alerts([alert(1)._replace(occurrence_id="old")])
    any_store.quarantine.add([QuarantineRecord(key, "bad_unit", b"{}") for key in "ab"])
    any_store.quarantine.decide([any_store.quarantine.rows()[0].id], "dropped", "x")
    any_store.migrate(extension=False, keep=ALL)
    dropped = any_store.upkeep()
    counts = any_store.counts()
    assert counts["features"] == 1
    assert counts["scores"] == 1
    assert counts["alerts"] == 2, "a story that still goes on is whole"
    assert counts["clinical_events"] == 2, "event 1 waits for the log"
    assert dropped["clinical_events"] == 0
    assert dropped["event_quarantine"] == 0, "decided only now"
    marks = [Published("e000001", 1, event(1).event_time_us, 0, 0, 1)]
    any_store.feed.mark(0, marks, done=True)
    assert any_store.upkeep()["clinical_events"] == 1
    assert any_store.counts()["clinical_events"] == 1
    with psycopg.connect(any_edition_dsn) as connection:
        keys = connection.execute("SELECT event_id FROM event_feed").fetchall()
    assert keys == [("e000002",)]
    assert len(any_store.quarantine.rows(which=Selection())) == 1


@pytest.mark.database
def test_retention_stays_as_it_is_when_the_schema_is_completed_again(any_store: Store) -> None:
    any_store.migrate(extension=False, keep=ALL)
    any_store.migrate(extension=False)
    any_store.write_features([feature(1)])
    assert any_store.upkeep()["features"] == 1
    any_store.migrate(extension=False, keep=Keep())
    assert any_store.upkeep() == {}


@pytest.mark.database
def test_hourly_scores_have_the_same_numbers_on_every_edition(
    any_store: Store, any_edition_dsn: str
) -> None:
    hour_us = 3_600_000_000
    begin_us = 1_709_287_200_000_000
    any_store.write_scores(
        [
            ScoreRecord("p1", "news2", "m", at - 60, at, at, 0, value, b"{}")
            for at, value in (
                (begin_us, 1.0),
                (begin_us + hour_us - 1, 5.0),
                (begin_us + hour_us, None),
                (begin_us + hour_us + 1, 7.0),
            )
        ]
    )
    with psycopg.connect(any_edition_dsn) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM hour)::int8, lowest, highest, mean, scores "
            "FROM vigil_scores_hourly('{p1}', '{news2}', '2024-01-01Z', '2025-01-01Z')"
        ).fetchall()
    first_s = begin_us // 1_000_000
    assert rows == [(first_s, 1.0, 5.0, 3.0, 2), (first_s + 3600, 7.0, 7.0, 7.0, 1)]
