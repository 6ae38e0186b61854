"""`vigil events import|list` and the event feed: CSV to the database, the database to the log.

Not here: the CSV format (`service.event_csv`), SQL (`streams.io.store`), the producer (given as
`publish`). The feed is the only way by which a stored fact reaches an engine.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from service.event_csv import Base, EventError, parse_events
from streams.errors import OperationalError
from streams.io.store import Store
from streams.io.store_rows import BATCH_ROWS, Published, StoredEvent
from streams.records import ClinicalEvent

FEED_ROWS = 500  # published before they are marked; a crash publishes at most these again
POLL_S = 1.0
_KEPT_IDS = 20
_EVER_US = 2**62

# What a producer does with one event, acknowledged: (partition, offset, append_us).
Publish = Callable[[ClinicalEvent], tuple[int, int, int]]

_LOG = logging.getLogger(__name__)


class ImportReport(NamedTuple):
    """What an import did, row by row: `rows` = inserted + present + changed + refused."""

    rows: int
    inserted: int
    present: int  # stored already, the same in every field
    changed: int  # stored already under the same id and version, with other content: not written
    changed_ids: tuple[str, ...]  # the first of them
    refused: dict[str, int]  # reason -> rows


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
    totals: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    changed_ids: list[str] = []
    batch: list[ClinicalEvent] = []

    def flush() -> None:
        inserted = store.insert_events(batch)
        changed = store.changed(batch) if inserted < len(batch) else set()
        totals["inserted"] += inserted
        totals["changed"] += len(changed)
        changed_ids.extend(sorted(changed)[: _KEPT_IDS - len(changed_ids)])
        batch.clear()

    for row in parse_events(path, base_us):
        totals["rows"] += 1
        if isinstance(row, EventError):
            refused[row.reason.value] += 1
            on_error(row)
            continue
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            flush()
    flush()
    known = totals["inserted"] + totals["changed"] + sum(refused.values())
    return ImportReport(
        totals["rows"],
        totals["inserted"],
        totals["rows"] - known,
        totals["changed"],
        tuple(changed_ids),
        dict(sorted(refused.items())),
    )


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
        "event_id": event.event_id,
        "version": event.version,
        "status": event.status,
        "partition": None if published is None else published.partition,
        "offset": None if published is None else published.offset,
    }


def feed_once(store: Store, publish: Publish, limit: int = FEED_ROWS) -> int:
    """Publish events that are not on the log yet, and mark them; how many were published.

    Parameters
    ----------
    store : Store
        The system of record.
    publish : callable
        Returns when the broker has acknowledged the event.
    limit : int
        At most so many.

    Raises
    ------
    BrokerError, StoreError
        Whatever was published before is marked if the database answers.

    Notes
    -----
    At least once: a crash between publishing and marking publishes the same `event_id` and
    `version` again, and the engine ignores the second copy. The mark then carries the append
    time of the second, so a replay may use that fact later than the live engine did, by the
    length of the outage; it never uses it earlier.
    """
    return _publish_and_mark(store, store.unpublished(limit), publish)


def feed_history(store: Store, patient_id: str, publish: Publish) -> int:
    """Publish everything known of one patient, as at admission; how many events.

    What the engine has already seen it ignores by id and version. Rows that are on the log keep
    the position they had there.
    """
    return _publish_and_mark(store, store.events([patient_id], 0, _EVER_US), publish)


def run_feed(
    store: Store,
    publish: Publish,
    stopped: Callable[[], bool],
    poll_s: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Feed until `stopped()`: at once when rows are inserted, and every `poll_s` anyway.

    Returns
    -------
    int
        How many events were published.

    Raises
    ------
    OperationalError
        Only one that is not retriable (no schema, login refused); the rest is waited out.
    """
    total = 0
    while not stopped():
        try:
            count = feed_once(store, publish)
            total += count
            if count < FEED_ROWS and not stopped():
                store.wait_for_events(poll_s)
        except OperationalError as fault:
            if not fault.retriable:
                raise
            _LOG.warning("event feed waits: %s", fault)
            sleep(poll_s)
    return total


def _publish_and_mark(store: Store, events: Iterable[ClinicalEvent], publish: Publish) -> int:
    """Publish in order; what the broker has is marked even if a later event fails."""
    marks: list[Published] = []
    try:
        for event in events:
            key = (event.event_id, event.version, event.event_time_us)
            marks.append(Published(*key, *publish(event)))
    finally:
        store.mark_published(marks)
    return len(marks)


def _iso(time_us: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
