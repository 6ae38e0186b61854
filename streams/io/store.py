"""The store of record: clinical events in and out, features, scores and alerts in.

Not here: connections and retry (`streams.io.timescale`), or when to write (`service.sink`,
`service.event_store`). Writing a row twice changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from streams.errors import ConfigError
from streams.io import store_rows
from streams.io.migrate import SCHEMA_VERSION, migrate
from streams.io.store_access import AccessLog
from streams.io.store_feed import FeedQueue
from streams.io.store_people import People
from streams.io.store_quarantine import Quarantine
from streams.io.store_rows import (
    AlertRecord,
    EventsWritten,
    FeatureRecord,
    ScoreRecord,
    SourcedEvent,
    StoredEvent,
)
from streams.io.timescale import Connection, Line, Micros, RefusedRows, RetrySpec
from streams.io.upkeep import Keep
from streams.records import ClinicalEvent


class Store:
    """Vigil's tables behind one reconnecting line; not for use by two threads at once.

    Invariant: a method that returned has committed, and one that raised may be called again
    with the same rows.
    """

    def __init__(
        self,
        dsn: str,
        retry: RetrySpec | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._line = Line(dsn, retry or RetrySpec(), sleep)
        self.feed = FeedQueue(self._line)
        self.quarantine = Quarantine(self._line)
        self.people = People(self._line)
        self.access = AccessLog(self._line)

    @classmethod
    def connect(cls, dsn: str, retry: RetrySpec | None = None) -> Self:
        """Open a store and prove that the database answers.

        Raises
        ------
        ConfigError
            `dsn` is not a PostgreSQL address.
        StoreError
            The database does not answer (`retriable`), or refuses the login (not).
        """
        store = cls(dsn, retry)
        store._line.run("connect", lambda connection: None)
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._line.close()

    def where(self) -> str:
        """Server, port and database, for messages: never user secrets."""
        return self._line.where()

    def migrate(self, extension: bool = True, keep: Keep | None = None) -> str:
        """Create or complete the schema; give the edition, see `migrate.migrate`."""
        return self._line.run(
            "migrate",
            lambda connection: migrate(
                connection, extension, None if keep is None else keep.checked()
            ),
        )

    def ready(self) -> bool:
        """Whether the schema is this build's: a login that may not migrate need not."""
        query = "SELECT to_regclass('schema_version') IS NOT NULL"
        if not self._line.rows("look for the schema", query)[0][0]:
            return False
        return self.schema_version() == SCHEMA_VERSION

    def edition(self) -> str:
        """Say "timescale-apache", "timescale-community" or "postgresql"."""
        return str(self._line.rows("read the edition", store_rows.EDITION_SQL)[0][0])

    def schema_version(self) -> int:
        """Newest migration the database has had."""
        query = "SELECT max(version) FROM schema_version"
        return int(self._line.rows("read the schema version", query)[0][0])

    def owner(self) -> str:
        """Who owns the tables: vigil_migrate where roles are in force."""
        query = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'event_feed'::regclass"
        return str(self._line.rows("read the owner", query)[0][0])

    def now_us(self) -> int:
        """The database's clock, µs UTC."""
        return int(self._line.rows("read the clock", "SELECT clock_timestamp()")[0][0])

    def counts(self) -> dict[str, int]:
        """Rows per table."""
        names = [table.name for table in store_rows.TABLES]
        query = ", ".join(f"(SELECT count(*) FROM {name})" for name in names)
        return dict(zip(names, self._line.rows("count rows", f"SELECT {query}")[0], strict=True))

    def insert_events(self, events: Sequence[ClinicalEvent | SourcedEvent]) -> int:
        """Insert events that are not there yet, 5,000 per transaction; how many were new.

        See `store_events`, which also tells what was there with other content.
        """
        return sum(self._insert(batch, told=False).new for batch in _batches(events))

    def store_events(self, events: Sequence[ClinicalEvent | SourcedEvent]) -> EventsWritten:
        """Insert events that are not there yet, 5,000 per transaction.

        Returns
        -------
        EventsWritten
            An event whose (event_id, version) is stored already is left as it is: a correction
            is a higher version. `changed` names those with other content.

        Raises
        ------
        RefusedRows
            A row breaks a rule, see `store_rows.event_fault`; its batch was not written.
        StoreError
            The database went away and did not come back within the retries.
        """
        done = [self._insert(batch, told=True) for batch in _batches(events)]
        changed = sorted({event_id for one in done for event_id in one.changed})
        return EventsWritten(sum(one.new for one in done), tuple(changed))

    def _insert(
        self, batch: Sequence[ClinicalEvent | SourcedEvent], *, told: bool
    ) -> EventsWritten:
        """Write one batch in one transaction; `told`: compare what was there already."""
        for place, given in enumerate(batch):
            fault = store_rows.event_fault(given)
            if fault is not None:
                raise RefusedRows(f"cannot write clinical_events: row {place}: {fault[1]}")
        rows = [store_rows.event_row(given) for given in batch]

        def work(connection: Connection) -> EventsWritten:
            new = connection.execute(store_rows.INSERT_EVENTS_SQL).rowcount
            if not told or new == len(rows):
                return EventsWritten(new, ())
            found = connection.execute(store_rows.CHANGED_SQL).fetchall()
            return EventsWritten(new, tuple(str(row[0]) for row in found))

        return self._line.staged("write clinical_events", store_rows.EVENTS, rows, work)

    def changed(self, events: Sequence[ClinicalEvent | SourcedEvent]) -> set[str]:
        """Ids of events stored under the same id and version with other content."""
        rows = [store_rows.event_row(event) for event in events]
        found = self._line.with_stage(
            "compare events", store_rows.EVENTS, rows, store_rows.CHANGED_SQL
        )
        return {str(row[0]) for row in found}

    def write_features(self, rows: Sequence[FeatureRecord]) -> int:
        """Write feature rows in one transaction; returns how many were new.

        A patient whose signals come is admitted: `monitored` is brought up to date.
        """

        def work(connection: Connection) -> int:
            connection.execute(store_rows.MONITORED_SQL)
            return connection.execute(store_rows.FEATURES.insert_sql()).rowcount

        if not rows:
            return 0
        return self._line.staged("write features", store_rows.FEATURES, rows, work)

    def write_scores(self, rows: Sequence[ScoreRecord]) -> int:
        """Write scores in one transaction; returns how many were new."""
        return self._line.write(store_rows.SCORES, rows)

    def write_alerts(self, rows: Sequence[AlertRecord]) -> int:
        """Write alert lifecycle events in one transaction; returns how many were new."""
        return self._line.write(store_rows.ALERTS, rows)

    def stored_events(
        self, patient_ids: Sequence[str] | None, from_us: int, to_us: int
    ) -> Iterator[StoredEvent]:
        """Events whose effective known time is in `[from_us, to_us)`, in the order of the log.

        Parameters
        ----------
        patient_ids : sequence of str or None
            Whose events; None means everyone's.
        from_us, to_us : int
            µs UTC, compared with `StoredEvent.effective_known_us`.

        Yields
        ------
        StoredEvent
            By effective known time, then log position, in bounded memory. Read on a connection
            of its own, so this store may write meanwhile.
        """
        wanted = None if patient_ids is None else list(patient_ids)
        asked = {"patients": wanted, "from_us": from_us, "to_us": to_us}
        reader = self._line.second()
        try:
            for row in reader.stream("read events", store_rows.HISTORY_SQL, asked):
                yield store_rows.stored_event(row)
        finally:
            reader.close()

    def events(
        self, patient_ids: Sequence[str] | None, from_us: int, to_us: int
    ) -> Iterator[ClinicalEvent]:
        """`stored_events` without their effective known times, in the same order."""
        return (stored.event for stored in self.stored_events(patient_ids, from_us, to_us))

    def wait_for_events(self, timeout_s: float) -> bool:
        """Wait until someone inserts events (True) or `timeout_s` passes (False)."""
        return self._line.heard(store_rows.EVENTS_CHANNEL, timeout_s)

    def known_at(
        self,
        known_us: int,
        patient_ids: Sequence[str] | None = None,
        concepts: Sequence[str] | None = None,
        *,
        as_used: bool = False,
    ) -> Iterator[StoredEvent]:
        """Every event as it was known at `known_us`: its newest version then, unless cancelled.

        Parameters
        ----------
        known_us : int
            µs UTC; a row known at exactly this time counts.
        patient_ids, concepts : sequence of str or None
            Of whom and of what; None means all.
        as_used : bool
            Known to the engine: also on the log by then.

        Yields
        ------
        StoredEvent
            By patient, event time and id, in bounded memory.
        """
        asked = {
            "known": Micros(known_us),
            "patients": None if patient_ids is None else list(patient_ids),
            "concepts": None if concepts is None else list(concepts),
            "used": as_used,
        }
        reader = self._line.second()
        try:
            for row in reader.stream("read what was known", store_rows.KNOWN_SQL, asked):
                yield store_rows.stored_event(row)
        finally:
            reader.close()

    def upkeep(self) -> dict[str, int]:
        """Drop what is older than `vigil init` was told to keep it; chunks or rows, by table.

        The timer of editions without background policies; harmless where there are some.
        """
        query = "SELECT table_name, dropped FROM vigil_upkeep()"
        return dict(self._line.rows("drop what is old", query))

    def drop_before(self, table: str, before_us: int) -> int:
        """Drop whole chunks or partitions of `table` that end by `before_us`; returns how many.

        Raises
        ------
        ConfigError
            `table` is not one of the tables over time.
        """
        names = [known.name for known in store_rows.TABLES if known.time_column]
        if table not in names:
            raise ConfigError(f"no table over time is called {table!r}; choose one of {names}")
        query = f"SELECT vigil_drop_before('{table}', %s)"
        return int(self._line.rows(f"drop old {table}", query, (Micros(before_us),))[0][0])


def _batches(
    events: Sequence[ClinicalEvent | SourcedEvent],
) -> Iterator[Sequence[ClinicalEvent | SourcedEvent]]:
    """Give the events in transactions' worth: so many rows, and not too much text."""
    begin = size = 0
    for at, given in enumerate(events):
        event = given.event if isinstance(given, SourcedEvent) else given
        if at - begin == store_rows.BATCH_ROWS or size > store_rows.BATCH_CHARACTERS:
            yield events[begin:at]
            begin, size = at, 0
        size += len(event.text)
    if begin < len(events):
        yield events[begin:]
