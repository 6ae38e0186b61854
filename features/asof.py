"""Which clinical fact is in force for time t, as known at time k: a two-clock store.

For each concept: the latest `event_time <= t` among rows known by k, the highest version per
event, cancelled events removed, older than the concept's maximum age = missing. Ties of event
time go to the row later in the log. Not here: units and ranges (`features.concepts`).

A row is known from max(its `known_time`, the append time of its log record): the feed lags, and
nobody downstream could have used the row before it was on the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.concepts import CONCEPTS, INDEX, Concept, find, normalise
from streams.errors import SnapshotMismatch
from streams.records import ClinicalEvent, Reason

ROWS_PER_CONCEPT = 16
LOOKBACK_US = 15 * 60 * 1_000_000  # how far behind the newest row answers stay exact
FUTURE_TOLERANCE_US = 3600 * 1_000_000  # a wrong clock at the source, not an early entry
STATE_VERSION = 1

_STATUSES = ("final", "corrected", "cancelled")
_MAX_AGE_US = np.array([round(c.max_age_s * 1e6) for c in CONCEPTS], dtype=np.int64)
_MAX_AGE = tuple(int(age) for age in _MAX_AGE_US)


class _Row(NamedTuple):
    """One version of one event, in canonical unit; ordered by (event_time_us, position)."""

    event_time_us: int
    position: int  # running number of accepted rows: order in the log
    known_us: int
    concept: int
    event_id: str
    version: int
    cancelled: bool
    value: float  # 0.0 when cancelled


def _admit(event: ClinicalEvent, append_us: int, position: int) -> _Row | Reason:
    """Row of an event, or why it cannot be one."""
    if event.known_time_us <= 0:
        return Reason.NO_KNOWN_TIME
    known_us = max(event.known_time_us, append_us)
    if event.event_time_us > known_us + FUTURE_TOLERANCE_US:
        return Reason.FUTURE
    if event.status not in _STATUSES:
        return Reason.BAD_FIELD
    cancelled = event.status == "cancelled"
    fact = _fact(event, cancelled=cancelled)
    if isinstance(fact, Reason):
        return fact
    concept, value = fact
    return _Row(
        event.event_time_us,
        position,
        known_us,
        INDEX[concept.code],
        event.event_id,
        event.version,
        cancelled,
        value,
    )


def _fact(event: ClinicalEvent, *, cancelled: bool) -> tuple[Concept, float] | Reason:
    """Concept and canonical value; a cancellation needs no value."""
    if cancelled:
        concept = find(event.code)
        return Reason.UNKNOWN_CONCEPT if concept is None else (concept, 0.0)
    normal = normalise(event.code, event.value, event.unit, event.text)
    if isinstance(normal, Reason):
        return normal
    return CONCEPTS[INDEX[normal.code]], normal.value


def refusal(event: ClinicalEvent, append_us: int) -> Reason | None:
    """Why `AsOf.insert` would refuse an event, None when it would not.

    Parameters
    ----------
    event : ClinicalEvent
        As decoded from the log.
    append_us : int
        Append time of its log record, µs UTC.

    Returns
    -------
    Reason or None
        NO_KNOWN_TIME, FUTURE, BAD_FIELD (status), or what `normalise` says; of a cancellation
        only the code must be known.
    """
    row = _admit(event, append_us, 0)
    return row if isinstance(row, Reason) else None


class AsOf:
    """Current and recent clinical facts of one patient.

    At most `ROWS_PER_CONCEPT` rows per concept are kept, so memory is bounded. Beyond that the
    oldest row goes, unless the last `LOOKBACK_US` need it: then the densest stretch is thinned,
    which can make an answer older, never newer.

    Examples
    --------
    >>> store = AsOf()
    >>> event = ClinicalEvent("e1", 1, "final", "p", "sbp", 98.0, "mmHg", "", 10, 20, "ehr")
    >>> store.insert(event, append_us=30)
    >>> values, times_us = store.at(t_us=60, known_us=30)
    >>> float(values[INDEX["sbp"]]), int(times_us[INDEX["sbp"]])
    (98.0, 10)
    >>> bool(np.isnan(store.at(t_us=60, known_us=29)[0]).all())
    True
    """

    __slots__ = ("_position", "_rows", "_versions")

    def __init__(self) -> None:
        self._position = 0
        self._rows: dict[int, list[_Row]] = {}  # concept -> rows, ascending
        self._versions: dict[str, list[_Row]] = {}  # event_id -> its kept rows

    def insert(self, event: ClinicalEvent, append_us: int) -> Reason | None:
        """Take one event from the log.

        Parameters
        ----------
        event : ClinicalEvent
            A fact, its correction or its cancellation, in any order.
        append_us : int
            Append time of its log record, µs UTC.

        Returns
        -------
        Reason or None
            None when stored, or already there (same event id and version: the first copy won).
            Otherwise why it was refused; the store is unchanged.
        """
        row = _admit(event, append_us, self._position)
        if isinstance(row, Reason):
            return row
        known = self._versions.setdefault(row.event_id, [])
        if any(other.version == row.version for other in known):
            return None
        self._position += 1
        self._add(row)
        rows = self._rows[row.concept]
        if len(rows) > ROWS_PER_CONCEPT:
            self._evict(rows[_redundant(rows)])
        return None

    def at(self, t_us: int, known_us: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Facts in force at `t_us` as anyone could know them at `known_us`.

        Parameters
        ----------
        t_us : int
            Event time asked for; a row at exactly this time counts.
        known_us : int
            Decision time; a row known at exactly this time counts.

        Returns
        -------
        values : (C,) float64
            Canonical units, columns as `features.concepts.CONCEPTS`; NaN = missing.
        times_us : (C,) int64
            When each was true; 0 = missing.

        Notes
        -----
        Ask before inserting events that come later in the log: then thinning cannot make the
        answer depend on how records were polled.
        Checked against: ``tests/features/test_asof.py``.
        """
        values = np.full(len(CONCEPTS), np.nan)
        times_us = np.zeros(len(CONCEPTS), dtype=np.int64)
        for concept, rows in self._rows.items():
            for row in reversed(rows):
                if row.event_time_us > t_us or not self._in_force(row, known_us):
                    continue
                if t_us - row.event_time_us <= _MAX_AGE[concept]:
                    values[concept] = row.value
                    times_us[concept] = row.event_time_us
                break
        return values, times_us

    def to_state(self) -> dict[str, Any]:
        """Everything, as msgspec can encode it; the order is the log's."""
        rows = sorted((row for rows in self._rows.values() for row in rows), key=_by_position)
        plain = [[CONCEPTS[row.concept].code, *row._replace(concept=0)] for row in rows]
        return {"version": STATE_VERSION, "position": self._position, "rows": plain}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> AsOf:
        """Store as `to_state` left it.

        Raises
        ------
        SnapshotMismatch
            If the state has another version or names a concept this build does not have.
        """
        if state["version"] != STATE_VERSION:
            raise SnapshotMismatch(f"as-of state version {state['version']!r}, not {STATE_VERSION}")
        store = cls()
        for code, *fields in state["rows"]:
            if code not in INDEX:
                raise SnapshotMismatch(f"as-of state names the unknown concept {code!r}")
            store._add(_Row(*fields)._replace(concept=INDEX[code]))
        store._position = state["position"]
        return store

    def _add(self, row: _Row) -> None:
        """Put a row into its sorted place."""
        rows = self._rows.setdefault(row.concept, [])
        place = len(rows)
        while place and rows[place - 1] > row:
            place -= 1
        rows.insert(place, row)
        self._versions.setdefault(row.event_id, []).append(row)

    def _in_force(self, row: _Row, known_us: int) -> bool:
        """Whether the row is known, stands, and no higher version of it is known."""
        if row.known_us > known_us or row.cancelled:
            return False
        versions = self._versions[row.event_id]
        return len(versions) == 1 or not any(
            other.version > row.version and other.known_us <= known_us for other in versions
        )

    def _evict(self, row: _Row) -> None:
        """Forget a row and what it replaced: a replaced row must never come back to life."""
        versions = self._versions.pop(row.event_id)
        kept = [other for other in versions if other.version > row.version]
        if kept:
            self._versions[row.event_id] = kept
        for other in versions:
            if other.version <= row.version:
                self._rows[other.concept].remove(other)


def _by_position(row: _Row) -> int:
    """Order in the log."""
    return row.position


def _redundant(rows: list[_Row]) -> int:
    """Index of the row that is missed least: the oldest, unless the recent past needs it."""
    if rows[1].event_time_us <= rows[-1].event_time_us - LOOKBACK_US:
        return 0
    gaps = [
        after.event_time_us - before.event_time_us
        for before, after in zip(rows, rows[2:], strict=False)
    ]
    return 1 + gaps.index(min(gaps))


def as_of_join(
    events: Sequence[ClinicalEvent],
    append_us: Sequence[int],
    t_us: NDArray[np.int64],
    known_us: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Facts in force for many (t, k) at once, from one patient's whole history.

    Parameters
    ----------
    events : sequence of ClinicalEvent, in log order
        Refused ones are skipped, as `AsOf.insert` would.
    append_us : sequence of int
        Append time of each event's log record.
    t_us, known_us : (Q,) int64
        Event time and decision time of each query.

    Returns
    -------
    values : (Q, C) float64
        As `AsOf.at`; NaN = missing.
    times_us : (Q, C) int64
        0 = missing.

    Notes
    -----
    Offline twin of `AsOf`, without its bound: memory is Q times events. It shares `_admit` and
    nothing else with it, so their equality is a proof (``tests/features/test_asof.py``).
    """
    rows = _distinct_rows(events, append_us)
    values = np.full((len(t_us), len(CONCEPTS)), np.nan)
    times_us = np.zeros((len(t_us), len(CONCEPTS)), dtype=np.int64)
    if not rows:
        return values, times_us
    rows.sort(key=lambda row: (row.event_id, row.version))
    event_time_us = np.array([row.event_time_us for row in rows])
    visible = np.array([row.known_us for row in rows])[None, :] <= known_us[:, None]  # [Q, R]
    valid = visible & ~_superseded(rows, visible) & (event_time_us[None, :] <= t_us[:, None])
    valid &= ~np.array([row.cancelled for row in rows])[None, :]
    order = np.lexsort((np.array([row.position for row in rows]), event_time_us))
    concept_of = np.array([row.concept for row in rows])[order]
    row_value = np.array([row.value for row in rows])[order]
    for concept in sorted(set(concept_of.tolist())):
        columns = np.flatnonzero(concept_of == concept)  # ascending in (event time, position)
        candidate = valid[:, order[columns]]
        last = columns[columns.size - 1 - np.argmax(candidate[:, ::-1], axis=1)]  # [Q]
        time_us = event_time_us[order[last]]
        found = candidate.any(axis=1) & (t_us - time_us <= _MAX_AGE_US[concept])
        values[found, concept] = row_value[last][found]
        times_us[found, concept] = time_us[found]
    return values, times_us


def _distinct_rows(events: Sequence[ClinicalEvent], append_us: Sequence[int]) -> list[_Row]:
    """Accepted rows in log order, the first copy of each (event, version)."""
    rows: dict[tuple[str, int], _Row] = {}
    for event, appended in zip(events, append_us, strict=True):
        row = _admit(event, appended, len(rows))
        if not isinstance(row, Reason):
            rows.setdefault((row.event_id, row.version), row)
    return list(rows.values())


def _superseded(rows: list[_Row], visible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a higher version of each row's event is visible, [Q, R]; sorted by version."""
    ids = [row.event_id for row in rows]
    last = {event_id: i for i, event_id in enumerate(ids)}
    seen = np.cumsum(visible, axis=1)  # [Q, R]
    result: NDArray[np.bool_] = seen[:, [last[event_id] for event_id in ids]] > seen
    return result
