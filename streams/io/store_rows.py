"""Rows of the database and the SQL that moves them: pure text and tuples, no connection.

Not here: running any of it (`streams.io.timescale`). Times are int µs everywhere; the adapters
of `streams.io.timescale` turn them into timestamptz without passing through a float.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.records import ClinicalEvent

BATCH_ROWS = 5_000  # rows per transaction: streaming.md §8
EVENTS_CHANNEL = "vigil_events"  # NOTIFY of schema.sql


class Published(NamedTuple):
    """Where the event feed put one stored event on the log."""

    event_id: str
    version: int
    event_time_us: int
    partition: int
    offset: int
    append_us: int


class StoredEvent(NamedTuple):
    """A clinical event and the time from which the engine could use it.

    `effective_known_us` is max(known_time, append time on the log), or known_time while the
    event is unpublished. Replay uses it, so that it knows no more than the live engine knew.
    """

    event: ClinicalEvent
    effective_known_us: int
    published: Published | None


class FeatureRecord(NamedTuple):
    """Keys of one feature row and its JSON message."""

    patient_id: str
    window: str
    start_us: int
    end_us: int
    known_us: int
    revision: int
    record: bytes


class ScoreRecord(NamedTuple):
    """Keys of one score and its JSON message."""

    patient_id: str
    scorer: str
    model: str
    start_us: int
    end_us: int
    known_us: int
    revision: int
    value: float | None
    record: bytes


class AlertRecord(NamedTuple):
    """Keys of one alert lifecycle event and its JSON message."""

    occurrence_id: str
    seq: int
    phase: str
    subject: str
    priority: str
    recorded_us: int
    record: bytes


class Table(NamedTuple):
    """A table as its writer sees it; `columns` ("name type") are in the order of its rows."""

    name: str
    columns: tuple[str, ...]
    key: str  # the primary key, also the order of insertion
    time_column: str = ""  # empty: an ordinary table
    partition_width: str = ""  # on plain PostgreSQL: "day" or "month"

    @property
    def names(self) -> str:
        """Column names, separated by commas."""
        return ", ".join(column.split()[0] for column in self.columns)

    @property
    def types(self) -> tuple[str, ...]:
        """Column types, in order."""
        return tuple(column.split()[1] for column in self.columns)

    @property
    def stage(self) -> str:
        """Name of the temporary table that COPY fills."""
        return f"stage_{self.name}"

    def stage_sql(self) -> str:
        """Create this session's stage; it empties itself at every commit."""
        return f"CREATE TEMP TABLE {self.stage} ({', '.join(self.columns)}) ON COMMIT DELETE ROWS"

    def copy_sql(self) -> str:
        """COPY rows into the stage."""
        return f"COPY {self.stage} ({self.names}) FROM STDIN (FORMAT binary)"

    def partitions_sql(self) -> str:
        """Make room on plain PostgreSQL for what is in the stage; empty for ordinary tables."""
        if not self.time_column:
            return ""
        return (
            f"SELECT vigil_partitions('{self.name}', '{self.stage}', '{self.time_column}', "
            f"'{self.partition_width}')"
        )

    def insert_sql(self) -> str:
        """Move the stage into the table; what is there already stays as it is.

        In key order, so that two writers lock shared keys in the same order; of equal keys
        in one batch the first row wins.
        """
        return (
            f"INSERT INTO {self.name} ({self.names}) SELECT {self.names} FROM {self.stage} "
            f"ORDER BY {self.key}, ctid ON CONFLICT DO NOTHING"
        )


# fmt: off
EVENTS = Table(
    "clinical_events",
    ("event_id text", "version int4", "status text", "patient_id text", "code text",
     "value float8", "unit text", "text text", "event_time timestamptz",
     "known_time timestamptz", "source text"),
    "event_id, version, event_time", "event_time", "month",
)
FEATURES = Table(
    "features",
    ("patient_id text", "window_name text", "start_time timestamptz", "end_time timestamptz",
     "known_time timestamptz", "revision int4", "record jsonb"),
    "patient_id, window_name, end_time, revision", "end_time", "day",
)
SCORES = Table(
    "scores",
    ("patient_id text", "scorer text", "model text", "start_time timestamptz",
     "end_time timestamptz", "known_time timestamptz", "revision int4", "value float8",
     "record jsonb"),
    "patient_id, scorer, model, end_time, start_time, revision", "end_time", "day",
)
ALERTS = Table(
    "alerts",
    ("occurrence_id text", "seq int4", "phase text", "subject text", "priority text",
     "recorded_at timestamptz", "record jsonb"),
    "occurrence_id, seq",
)
# Never a table, only a stage: positions on their way into `clinical_events`.
MARKS = Table(
    "marks",
    ("event_id text", "version int4", "event_time timestamptz", "log_partition int4",
     "log_offset int8", "append_us int8"),
    "event_id, version, event_time",
)
# fmt: on
TABLES = (EVENTS, FEATURES, SCORES, ALERTS)

_EVENT_COLUMNS = EVENTS.names

CHANGED_SQL = f"""
    SELECT s.event_id FROM {EVENTS.stage} s
    JOIN clinical_events e USING (event_id, version, event_time)
    WHERE (s.status, s.patient_id, s.code, s.value, s.unit, s.text, s.known_time, s.source)
        IS DISTINCT FROM
          (e.status, e.patient_id, e.code, e.value, e.unit, e.text, e.known_time, e.source)
    ORDER BY s.event_id
"""

UNPUBLISHED_SQL = f"""
    SELECT {_EVENT_COLUMNS} FROM clinical_events WHERE published_append_us IS NULL
    ORDER BY known_time, event_id, version LIMIT %s
"""

MARK_SQL = f"""
    UPDATE clinical_events e SET published_partition = s.log_partition,
        published_offset = s.log_offset, published_append_us = s.append_us
    FROM {MARKS.stage} s
    WHERE e.event_id = s.event_id AND e.version = s.version AND e.event_time = s.event_time
        AND e.published_append_us IS NULL
    RETURNING e.event_id
"""

# µs since 1970 from a timestamptz: extract gives an exact numeric (PostgreSQL >= 14).
_KNOWN_US = "(extract(epoch FROM known_time) * 1000000)::int8"
HISTORY_SQL = f"""
    SELECT * FROM (
        SELECT {_EVENT_COLUMNS}, greatest({_KNOWN_US}, published_append_us) AS effective_us,
            published_partition, published_offset, published_append_us
        FROM clinical_events
        WHERE %(patients)s::text[] IS NULL OR patient_id = ANY (%(patients)s)
    ) AS known
    WHERE effective_us >= %(from_us)s AND effective_us < %(to_us)s
    ORDER BY effective_us, published_partition NULLS LAST, published_offset, event_id, version
"""

EDITION_SQL = """
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
            THEN 'postgresql'
        WHEN current_setting('timescaledb.license', true) = 'timescale'
            THEN 'timescale-community'
        ELSE 'timescale-apache'
    END
"""

# Creating the extension needs a superuser and a server that preloaded it: asking any other
# server for it would end the connection, so ask only where it will work.
EXTENSION_SQL = """
    SELECT current_setting('is_superuser') = 'on'
        AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
        AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
        AND CASE WHEN current_setting('is_superuser') = 'on'
            THEN current_setting('shared_preload_libraries') LIKE '%timescaledb%' END
"""


def event_row(event: ClinicalEvent) -> tuple[object, ...]:
    """Values of `EVENTS.columns` for one event."""
    return (
        event.event_id,
        event.version,
        event.status,
        event.patient_id,
        event.code,
        event.value,
        event.unit,
        event.text,
        event.event_time_us,
        event.known_time_us,
        event.source,
    )


def stored_event(row: tuple[Any, ...]) -> StoredEvent:
    """Event of one row of `HISTORY_SQL`."""
    event = ClinicalEvent(*row[:11])
    effective_us, partition, offset, append_us = row[11:]
    published = None
    if append_us is not None:
        published = Published(
            event.event_id, event.version, event.event_time_us, partition, offset, append_us
        )
    return StoredEvent(event, effective_us, published)
