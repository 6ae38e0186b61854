"""How long rows are kept and how they are stored: the SQL of what each edition offers.

TimescaleDB's community edition has background policies for compression and retention, and
continuous aggregates; its Apache edition and plain PostgreSQL have none, so `vigil_upkeep()` drops
what is old when `vigil sink` or `vigil upkeep` calls it. Which path is chosen by the edition that
`timescaledb.license` names (`store_rows.EDITION_SQL`). Pure: text out, nothing run.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from streams.errors import ConfigError

COMMUNITY: Final = "timescale-community"
OVER_TIME: Final = ("clinical_events", "features", "scores")
TABLES: Final = (*OVER_TIME, "alerts", "event_quarantine")
# Rows of one patient together, newest first: what is asked for is a patient's recent past.
# `clinical_events` stays as it is: late corrections go into old chunks, and they are few.
COMPRESSED: Final = {
    "features": "timescaledb.compress_segmentby = 'patient_id, window_name', "
    "timescaledb.compress_orderby = 'end_time DESC, revision'",
    "scores": "timescaledb.compress_segmentby = 'patient_id, scorer, model', "
    "timescaledb.compress_orderby = 'end_time DESC, start_time, revision'",
}
HOURLY: Final = """
    SELECT patient_id, scorer, model, time_bucket(interval '1 hour', end_time) AS hour,
        min(value) AS lowest, max(value) AS highest, avg(value) AS mean, count(value) AS scores
    FROM scores GROUP BY patient_id, scorer, model, time_bucket(interval '1 hour', end_time)
"""
_REFRESH: Final = (
    "add_continuous_aggregate_policy('scores_hourly', start_offset => interval '3 days', "
    "end_offset => interval '1 hour', schedule_interval => interval '30 minutes')"
)
# From the time when the server had another licence.
_DROP_PLAIN_VIEW: Final = """
    DO $do$ BEGIN
        IF to_regclass('scores_hourly') IS NOT NULL AND NOT EXISTS (SELECT FROM
            timescaledb_information.continuous_aggregates WHERE view_name = 'scores_hourly') THEN
            DROP VIEW scores_hourly;
        END IF;
    END $do$
"""
_PLAIN_BUCKET: Final = "date_bin(interval '1 hour', end_time, timestamptz '2000-01-01 00:00Z')"


class Keep(NamedTuple):
    """Days rows stay, by table; 0 or absent: for ever. `compress_days` 0: never compressed."""

    days: tuple[tuple[str, float], ...] = ()
    compress_days: float = 0.0

    def checked(self) -> Keep:
        """Itself, if it can be.

        Raises
        ------
        ConfigError
            A table that is not kept by time, or a number of days that cannot be.
        """
        for table, days in self.days:
            if table not in TABLES:
                raise ConfigError(f"retention: no table {table!r}; choose of {', '.join(TABLES)}")
            if not (days == 0 or 1 <= days <= 36_500):
                raise ConfigError(f"retention: {table}: days must be 0 (for ever) or 1 to 36500")
        if not (self.compress_days == 0 or 1 <= self.compress_days <= 36_500):
            raise ConfigError("retention: compress_days must be 0 (never) or 1 to 36500")
        return self


def retention_sql(keep: Keep) -> tuple[str, ...]:
    """Statements that write the table `retention`, for every edition."""
    days = dict(keep.days)
    return tuple(
        f"UPDATE retention SET keep = {_interval(days.get(table, 0.0))}, "
        f"updated_at = clock_timestamp() WHERE table_name = '{table}' "
        f"AND keep IS DISTINCT FROM {_interval(days.get(table, 0.0))}"
        for table in TABLES
    )


def hourly_sql(edition: str) -> tuple[str, ...]:
    """Statements that make `scores_hourly` where it is missing: the same columns everywhere.

    Community: a continuous aggregate, refreshed in the background. The others: a view.

    Examples
    --------
    >>> "date_bin" in hourly_sql("postgresql")[0], "time_bucket" in hourly_sql("postgresql")[0]
    (True, False)
    """
    if edition == COMMUNITY:
        return (
            _DROP_PLAIN_VIEW,
            "CREATE MATERIALIZED VIEW IF NOT EXISTS scores_hourly WITH (timescaledb.continuous, "
            f"timescaledb.materialized_only = false) AS {HOURLY} WITH NO DATA",
            _unless("policy_refresh_continuous_aggregate", _REFRESH),
        )
    query = HOURLY
    if edition == "postgresql":
        query = HOURLY.replace("time_bucket(interval '1 hour', end_time)", _PLAIN_BUCKET)
    return (
        f"DO $do$ BEGIN IF to_regclass('scores_hourly') IS NULL THEN "
        f"CREATE VIEW scores_hourly AS {query}; END IF; END $do$",
    )


def policy_sql(edition: str, keep: Keep) -> tuple[str, ...]:
    """Statements that hand compression and retention to the edition; none where it has none.

    Parameters
    ----------
    edition : str
        Of `Store.edition`.
    keep : Keep
        Checked.

    Notes
    -----
    `clinical_events` is dropped by `vigil_upkeep()` on every edition: a policy would drop facts
    that still wait for the log.

    Examples
    --------
    >>> policy_sql("timescale-apache", Keep((("features", 30),), 2))
    ()
    """
    if edition != COMMUNITY:
        return ()
    days = dict(keep.days)
    lines: list[str] = []
    for table, settings in COMPRESSED.items():
        lines.append(f"SELECT remove_retention_policy('{table}', if_exists => true)")
        if days.get(table):
            lines.append(f"SELECT add_retention_policy('{table}', {_interval(days[table])})")
        lines.append(f"SELECT remove_compression_policy('{table}', if_exists => true)")
        if keep.compress_days:
            lines += [
                f"ALTER TABLE {table} SET (timescaledb.compress, {settings})",
                f"SELECT add_compression_policy('{table}', {_interval(keep.compress_days)})",
            ]
    return tuple(lines)


def _unless(job: str, statement: str) -> str:
    """Run a statement unless such a background job is there."""
    return (
        f"DO $do$ BEGIN IF NOT EXISTS (SELECT FROM timescaledb_information.jobs "
        f"WHERE proc_name = '{job}') THEN PERFORM {statement}; END IF; END $do$"
    )


def _interval(days: float) -> str:
    return f"interval '{days:g} days'" if days else "NULL::interval"
