"""`vigil events import|list`: CSV to the database, stored events as people read them.

Not here: the CSV format (`service.event_csv`), SQL (`streams.io.store`), the way from the
database to the log (`service.event_feed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.event_csv import Base
from service.history import KnownEvent
from service.importers import csv_events
from service.importers.contract import Job
from service.importers.fact import EventError
from service.importers.run import ImportReport, import_source
from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_rows import StoredEvent


def import_events(
    store: Store,
    path: str | Path,
    on_error: Callable[[EventError], None],
    base_us: Base = None,
) -> ImportReport:
    """Import a CSV file into the store; importing it again changes nothing.

    Parameters
    ----------
    store : Store
        With its schema in place.
    path : path
        See `service.event_csv.parse_events`.
    on_error : callable
        Told of every refused row; the others go on.
    base_us : int, mapping of patient_id to int, or None
        What ``+SECONDS`` counts from.

    Returns
    -------
    ImportReport
        `changed` rows are not written, because a correction needs a higher `version` of the
        same `event_id`: overwriting would change what a replay of the past would know.

    Raises
    ------
    SourceError
        The file's header is not as expected.
    StoreError
        The database went away; the batches before are stored, importing again completes it.
    """
    job = Job(Path(path), base_us=base_us)
    return import_source(store, csv_events.IMPORTER, job, on_error)


def listed(stored: StoredEvent) -> dict[str, object]:
    """One stored event for `vigil events list --json`; times are ISO 8601 UTC."""
    event, published = stored.event, stored.published
    return {
        "patient_id": event.patient_id,
        "event_time": _iso(event.event_time_us),
        "known_time": _iso(event.known_time_us),
        "effective_known_time": _iso(stored.effective_known_us),
        "code": event.code,
        "value": event.value,
        "unit": event.unit,
        "text": event.text,
        "source": event.source,
        "coding": stored.coding,
        "source_value": stored.source_value,
        "source_unit": stored.source_unit,
        "event_id": event.event_id,
        "version": event.version,
        "status": event.status,
        "partition": None if published is None else published.partition,
        "offset": None if published is None else published.offset,
    }


def on_the_log(stored: Iterable[StoredEvent]) -> tuple[KnownEvent, ...]:
    """Stored events with the time at which each came onto the log, in the order of the log.

    One that was never published comes when it was known. One that was published before it was
    known keeps its place: the engine looks at both times itself, and what it does on arrival,
    such as judging the recent past again, it must do then.
    """

    def place(row: StoredEvent) -> tuple[int, int, int, str, int]:
        event, at = row.event, row.published
        if at is None:
            return event.known_time_us, 1 << 31, 0, event.event_id, event.version
        return at.append_us, at.partition, at.offset, event.event_id, event.version

    rows = sorted(stored, key=place)
    return tuple((place(row)[0], row.event) for row in rows)


def known_time_us(text: str) -> int:
    """µs UTC of a time people typed.

    Raises
    ------
    ConfigError
        It is not ISO 8601, or has no zone.

    Examples
    --------
    >>> known_time_us("2024-03-01T11:00:00+01:00")
    1709287200000000
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f"{text!r} is not ISO 8601 with a zone, such as 2024-03-01T10:00:00Z")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _iso(time_us: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
