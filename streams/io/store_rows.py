"""Rows of the database and the SQL that moves them: pure text and tuples, no connection.

Not here: running any of it (`streams.io.timescale`), the feed's queue (`streams.io.store_feed`),
people and quarantine (`store_people`, `store_quarantine`). Times are int µs everywhere; the
adapters of `streams.io.timescale` turn them into timestamptz without passing through a float.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.codec import MAX_TEXT_BYTES, MAX_UNIT_BYTES, admit
from streams.records import ClinicalEvent, Reason

BATCH_ROWS = 5_000  # rows per transaction: streaming.md §8
BATCH_CHARACTERS = 4_194_304  # of text per transaction: what a batch of notes may weigh
MAX_SOURCE_BYTES = 1_024  # characters of what a source called something
_WORDS = (
    ("text", MAX_TEXT_BYTES),
    ("unit", MAX_UNIT_BYTES),
    ("source", MAX_SOURCE_BYTES),
    ("source coding", MAX_SOURCE_BYTES),
    ("source value", MAX_SOURCE_BYTES),
    ("source unit", MAX_SOURCE_BYTES),
)
EVENTS_CHANNEL = "vigil_events"  # NOTIFY of 0002_event_feed.sql


class Published(NamedTuple):
    """Where the event feed put one stored event on the log."""

    event_id: str
    version: int
    event_time_us: int
    partition: int
    offset: int
    append_us: int


class SourcedEvent(NamedTuple):
    """A clinical event and what its source called it: "system|code", value and unit as written."""

    event: ClinicalEvent
    coding: str = ""
    value: str = ""
    unit: str = ""


class EventsWritten(NamedTuple):
    """What became of a batch: rows = new + stored already the same + changed."""

    new: int
    changed: tuple[str, ...]  # ids stored already with other content, which stays


class StoredEvent(NamedTuple):
    """A clinical event and the time from which the engine could use it.

    `effective_known_us` is max(known_time, append time on the log), or known_time while the
    event is unpublished. Replay uses it, so that it knows no more than the live engine knew.
    """

    event: ClinicalEvent
    effective_known_us: int
    published: Published | None
    coding: str = ""
    source_value: str = ""
    source_unit: str = ""


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
            f"SELECT vigil_make_partitions('{self.name}', '{self.time_column}', "
            f"'{self.partition_width}', (SELECT array_agg(DISTINCT "
            f"date_trunc('{self.partition_width}', {self.time_column}, 'UTC')) FROM {self.stage}))"
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
    ("event_id text", "version int4", "status text", "patient_id text", "concept text",
     "value float8", "unit text", "text text", "event_time timestamptz",
     "known_time timestamptz", "source text", "source_coding text", "source_value text",
     "source_unit text"),
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
# fmt: on
TABLES = (EVENTS, FEATURES, SCORES, ALERTS)

# Columns of `clinical_events` in the order of ClinicalEvent's fields.
EVENT_COLUMNS = ", ".join(f"e.{column.split()[0]}" for column in EVENTS.columns[:11])

# An id and version that are stored stay as they are, whatever the time of the new row. Two
# writers of the same key: the second fails in `vigil_queue_events` and is tried again. In time
# order: chunks are opened one after the other, and writers of the same rows meet in one order.
INSERT_EVENTS_SQL = f"""
    INSERT INTO clinical_events ({EVENTS.names})
    SELECT {EVENTS.names} FROM (
        SELECT DISTINCT ON (event_id, version) * FROM {EVENTS.stage}
        ORDER BY event_id, version, ctid
    ) AS s
    WHERE NOT EXISTS (SELECT FROM event_feed f
        WHERE f.event_id = s.event_id AND f.version = s.version)
    ORDER BY event_time, event_id, version ON CONFLICT DO NOTHING
"""

CHANGED_SQL = f"""
    SELECT DISTINCT s.event_id FROM {EVENTS.stage} s JOIN event_feed f USING (event_id, version)
    WHERE f.content <> vigil_content(s.status, s.patient_id, s.concept, s.value, s.unit, s.text,
        s.event_time, s.known_time, s.source)
    ORDER BY s.event_id
"""

# By patient, so that two sinks lock in the same order.
MONITORED_SQL = f"""
    INSERT INTO monitored AS m (patient_id, last_at)
    SELECT patient_id, max(end_time) FROM {FEATURES.stage} GROUP BY patient_id ORDER BY patient_id
    ON CONFLICT (patient_id) DO UPDATE SET last_at = excluded.last_at
    WHERE m.last_at < excluded.last_at - interval '10 minutes'
"""

# µs since 1970 from a timestamptz: extract gives an exact numeric (PostgreSQL >= 14).
KNOWN_US = "(extract(epoch FROM e.known_time) * 1000000)::int8"
_STORED = f"""
    SELECT {EVENT_COLUMNS}, greatest({KNOWN_US}, f.append_us) AS effective_us,
        f.log_partition, f.log_offset, f.append_us, e.source_coding, e.source_value, e.source_unit
    FROM clinical_events e JOIN event_feed f
        ON f.event_id = e.event_id AND f.version = e.version AND f.event_time = e.event_time
    WHERE (%(patients)s::text[] IS NULL OR e.patient_id = ANY (%(patients)s))
"""
HISTORY_SQL = f"""
    SELECT * FROM ({_STORED}) AS known
    WHERE effective_us >= %(from_us)s AND effective_us < %(to_us)s
    ORDER BY effective_us, log_partition NULLS LAST, log_offset, event_id, version
"""

KNOWN_SQL = """
    SELECT * FROM vigil_known(%(known)s, %(patients)s::text[], %(concepts)s::text[], %(used)s)
    ORDER BY patient_id, event_time, event_id
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


def event_row(given: ClinicalEvent | SourcedEvent) -> tuple[object, ...]:
    """Values of `EVENTS.columns` for one event."""
    if isinstance(given, ClinicalEvent):
        return (*_fields(given), "", "", "")
    return (*_fields(given.event), given.coding, given.value, given.unit)


def _fields(event: ClinicalEvent) -> tuple[object, ...]:
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


def event_fault(given: ClinicalEvent | SourcedEvent) -> tuple[Reason, str] | None:
    r"""Why an event cannot be stored, or None: the limits of the log, and text PostgreSQL takes.

    Returns
    -------
    (Reason, rule) or None
        The rule is for people and quotes nothing of the row.

    Examples
    --------
    >>> event = ClinicalEvent("e", 1, "final", "p", "note", None, "", "a\x00", 1, 1, "ehr")
    >>> event_fault(event)[1]
    'text holds a NUL character'
    """
    sourced = given if isinstance(given, SourcedEvent) else SourcedEvent(given)
    event = sourced.event
    words = (event.text, event.unit, event.source, sourced.coding, sourced.value, sourced.unit)
    whole = "".join(words)
    # Nearly every fact is short and plain: one look at all its words.
    if len(whole) > MAX_UNIT_BYTES or not whole.isascii() or "\x00" in whole:
        fault = _words_fault(words)
        if fault is not None:
            return fault
    try:
        refused = admit(event, 0, 0, 0).rejected
    except (TypeError, ValueError, OverflowError):
        return Reason.BAD_FIELD, "a field has the wrong type or cannot be encoded"
    return (refused[0].reason, refused[0].detail) if refused else None


def _words_fault(words: tuple[str, ...]) -> tuple[Reason, str] | None:
    """Why one of an event's words cannot be stored, in the order of `_WORDS`."""
    for (name, limit), word in zip(_WORDS, words, strict=True):
        if len(word) > limit:
            return Reason.BAD_LENGTH, f"{name} has {len(word)} characters, at most {limit}"
        if "\x00" in word:
            return Reason.BAD_FIELD, f"{name} holds a NUL character"
        if not word.isascii() and not _is_utf8(word):
            return Reason.UNDECODABLE, f"{name} is not Unicode text"
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def stored_event(row: tuple[Any, ...]) -> StoredEvent:
    """Event of one row of `HISTORY_SQL`."""
    event = ClinicalEvent(*row[:11])
    effective_us, partition, offset, append_us, *source = row[11:]
    published = None
    if append_us is not None:
        published = Published(
            event.event_id, event.version, event.event_time_us, partition, offset, append_us
        )
    return StoredEvent(event, effective_us, published, *source)
