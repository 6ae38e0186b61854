"""The queue of facts that wait for the log, and the marks of those that are on it.

Not here: publishing (`service.event_feed`). The mark of a row is the cursor: a transaction that
commits late is found like any other, because no high-water mark can pass it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from streams.io.store_rows import EVENT_COLUMNS, EVENTS_CHANNEL, Published, Table
from streams.io.timescale import Connection, Line, Micros
from streams.records import ClinicalEvent

LOCK: Final = "event feed"
# A row known this recently is news: it goes before any backlog, after its patient's own history.
NEWS: Final = "interval '15 minutes'"
PER_PATIENT: Final = 200  # of one patient in a batch that others wait for

# fmt: off
# Never a table, only a stage: positions on their way into `event_feed`.
MARKS: Final = Table(
    "marks",
    ("event_id text", "version int4", "event_time timestamptz", "log_partition int4",
     "log_offset int8", "append_us int8"),
    "event_id, version",
)
# fmt: on

_MARK_SQL = f"""
    UPDATE event_feed f SET log_partition = s.log_partition, log_offset = s.log_offset,
        append_us = s.append_us
    FROM {MARKS.stage} s
    WHERE f.event_id = s.event_id AND f.version = s.version AND f.append_us IS NULL
"""

_KEYS = "event_id, version, event_time"
_BACKLOG_SQL = f"""
    SELECT {_KEYS} FROM event_feed WHERE append_us IS NULL
    ORDER BY known_time, event_id, version LIMIT %(limit)s
"""
_NEWS_OF = f"""
    SELECT DISTINCT patient_id FROM event_feed
    WHERE append_us IS NULL AND known_time > clock_timestamp() - {NEWS}
"""
_ADMITTED = "SELECT patient_id FROM vigil_admitted() AS patient_id"
# Every patient's rows in known order, the patients in turn: one with years of history holds the
# others up for `PER_PATIENT` rows, not for all of them.
_BY_PATIENT_SQL = f"""
    SELECT {_KEYS} FROM ({{patients}}) AS served CROSS JOIN LATERAL (
        SELECT {_KEYS}, known_time, row_number() OVER (ORDER BY known_time, event_id, version) AS n
        FROM event_feed f WHERE f.append_us IS NULL AND f.patient_id = served.patient_id
        ORDER BY known_time, event_id, version LIMIT {PER_PATIENT}
    ) AS waiting
    ORDER BY n, known_time, event_id, version LIMIT %(limit)s
"""
_ROWS_SQL = f"""
    SELECT {EVENT_COLUMNS} FROM unnest(%(ids)s::text[], %(versions)s::int4[], %(times)s::int8[])
        WITH ORDINALITY AS k (event_id, version, time_us, place)
    JOIN clinical_events e ON e.event_id = k.event_id AND e.version = k.version
        AND e.event_time = timestamptz 'epoch' + k.time_us * interval '1 microsecond'
    WHERE e.event_time BETWEEN %(first)s AND %(last)s
    ORDER BY k.place
"""


class Backlog(NamedTuple):
    """What waits for the log."""

    rows: int
    oldest_s: float  # how long the row that waits longest has waited; 0.0 when none does
    held: bool  # whether some feed leads


class Lead(NamedTuple):
    """The right to publish, and what the one who had it before may have left undone."""

    epoch: int
    claim_us: int | None  # rows that wait may be on the log since then, without a mark


class FeedQueue:
    """Rows of `event_feed`; several processes may have one, only the newest leader publishes."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def lead(self) -> Lead | None:
        """Become the one that publishes, or None while another process is.

        Raises
        ------
        StoreError
            The database is in trouble.
        """
        if not self._line.hold(LOCK):
            return None
        query = "UPDATE feed_state SET epoch = epoch + 1 RETURNING epoch, claim_us"
        (found,) = self._line.rows("lead the event feed", query)
        return Lead(*found)

    def leads(self) -> bool:
        """Whether this line still holds the lock it got in `lead`; false after it was lost."""
        return self._line.hold(LOCK)

    def waiting(self, limit: int, *, admitted_only: bool = False) -> list[ClinicalEvent]:
        """Give rows to publish next, every patient's own in known order.

        Parameters
        ----------
        limit : int
            At most so many.
        admitted_only : bool
            Only of patients with an open encounter, a device on, or signals lately; the rows of
            the others wait for that.

        Notes
        -----
        News first: a patient with a row known in the last 15 minutes is served before those
        whose rows are all older, history included. So an import of years delays no live result.
        """
        news = _NEWS_OF + (f" AND patient_id IN ({_ADMITTED})" if admitted_only else "")
        backlog = _BY_PATIENT_SQL.format(patients=_ADMITTED) if admitted_only else _BACKLOG_SQL
        for query in (_BY_PATIENT_SQL.format(patients=news), backlog):
            keys = self._line.rows("read the event queue", query, {"limit": limit})
            if keys:
                return self._events(keys)
        return []

    def backlog(self) -> Backlog:
        """How much waits, and for how long: the feed's figures."""
        query = """
            SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(arrived_at)), 0),
                EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
                    WHERE locktype = 'advisory' AND granted AND datname = current_database()
                    AND classid = hashtext('vigil')::bit(32)::int8::oid
                    AND objid = hashtext(%s)::bit(32)::int8::oid AND objsubid = 2)
            FROM event_feed WHERE append_us IS NULL
        """
        (found,) = self._line.rows("measure the event queue", query, (LOCK,))
        return Backlog(int(found[0]), float(found[1]), bool(found[2]))

    def claim(self, epoch: int, append_us: int) -> bool:
        """Say that rows will be published from `append_us` on; False if another leads by now."""
        query = "UPDATE feed_state SET claim_us = %s WHERE epoch = %s RETURNING epoch"
        return bool(self._line.rows("claim events", query, (append_us, epoch)))

    def mark(self, epoch: int, marks: Sequence[Published], *, done: bool) -> int:
        """Record where events stand on the log; a mark that is there stays. How many were new.

        Parameters
        ----------
        epoch : int
            Of `lead`.
        marks : sequence of Published
            In one transaction.
        done : bool
            Everything that was claimed is marked: the claim ends.
        """
        end = f"UPDATE feed_state SET claim_us = NULL WHERE epoch = {int(epoch)}"

        def work(connection: Connection) -> int:
            count = connection.execute(_MARK_SQL).rowcount
            if done:
                connection.execute(end)
            return count

        return self._line.staged("mark events as published", MARKS, marks, work)

    def published(self, event_ids: Sequence[str]) -> dict[tuple[str, int], Published]:
        """Where these events stand on the log, by (event_id, version); absent: nowhere yet."""
        query = f"""
            SELECT {_KEYS}, log_partition, log_offset, append_us FROM event_feed
            WHERE event_id = ANY (%s) AND append_us IS NOT NULL
        """
        rows = self._line.rows("read positions", query, (list(event_ids),))
        return {(row[0], row[1]): Published(*row) for row in rows}

    def again(self, patient_ids: Sequence[str] | None = None) -> int:
        """Forget positions, so that events are published anew: for a new log. How many.

        Parameters
        ----------
        patient_ids : sequence of str or None
            Whose; None: everyone's.
        """
        query = """
            UPDATE event_feed SET append_us = NULL, log_partition = NULL, log_offset = NULL
            WHERE append_us IS NOT NULL
                AND (%(patients)s::text[] IS NULL OR patient_id = ANY (%(patients)s))
        """

        def work(connection: Connection) -> int:
            wanted = None if patient_ids is None else list(patient_ids)
            count = connection.execute(query, {"patients": wanted}).rowcount
            connection.execute(f"NOTIFY {EVENTS_CHANNEL}")
            return count

        return self._line.run("forget positions", work)

    def heard(self, timeout_s: float) -> bool:
        """Wait until someone inserts events (True) or `timeout_s` passes (False)."""
        return self._line.heard(EVENTS_CHANNEL, timeout_s)

    def _events(self, keys: Sequence[tuple[Any, ...]]) -> list[ClinicalEvent]:
        """Rows of these keys, in this order."""
        times_us = [key[2] for key in keys]
        asked = {
            "ids": [key[0] for key in keys],
            "versions": [key[1] for key in keys],
            "times": times_us,
            "first": Micros(min(times_us)),
            "last": Micros(max(times_us)),
        }
        rows = self._line.rows("read waiting events", _ROWS_SQL, asked)
        return [ClinicalEvent(*row) for row in rows]
