"""Rows that could not become events, until a person maps or drops them.

Not here: turning a released row into an event (the importer that made it). Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.errors import ConfigError
from streams.io.store_rows import Table
from streams.io.timescale import Line

STATUSES: Final = ("waiting", "released", "dropped")


class QuarantineRecord(NamedTuple):
    """One row that was refused, as its importer saw it.

    `key` names the row the same way at every import (its event id and version, or digest):
    quarantining it again adds nothing. `original` is JSON.
    """

    key: str
    reason: str
    original: bytes
    detail: str = ""
    patient_id: str = ""
    source: str = ""
    file: str = ""
    line: int | None = None
    coding: str = ""  # "system|code" as it came
    unit: str = ""  # as it came


class Quarantined(NamedTuple):
    """One row of the quarantine."""

    id: int
    received_us: int
    key: str
    reason: str
    original: bytes
    detail: str
    patient_id: str
    source: str
    file: str
    line: int | None
    coding: str
    unit: str
    status: str
    mapped_concept: str
    mapped_unit: str
    decided_by: str
    decided_us: int | None


class WaitingGroup(NamedTuple):
    """Rows that wait for the same decision."""

    reason: str
    coding: str
    unit: str
    rows: int
    patients: int
    mapped_concept: str
    mapped_unit: str


class Selection(NamedTuple):
    """Which rows: those that match everything given; the empty string and () match all."""

    ids: tuple[int, ...] = ()
    reason: str = ""
    coding: str = ""
    unit: str | None = None  # None matches all, "" the rows that came without a unit


# fmt: off
_TABLE: Final = Table(
    "event_quarantine",
    ("key text", "reason text", "original jsonb", "detail text", "patient_id text",
     "source text", "file text", "line int8", "coding text", "unit text"),
    "key",
)
# fmt: on
_COLUMNS = (
    "id, received_at, key, reason, convert_to(original::text, 'UTF8'), detail, patient_id, source, "
    "file, line, coding, unit, status, mapped_concept, mapped_unit, decided_by, decided_at"
)
_MATCH = """
    (%(ids)s::int8[] = '{}' OR id = ANY (%(ids)s)) AND (%(reason)s = '' OR reason = %(reason)s)
    AND (%(coding)s = '' OR coding = %(coding)s)
    AND (%(unit)s::text IS NULL OR unit = %(unit)s)
"""


class Quarantine:
    """The table `event_quarantine`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def add(self, rows: Sequence[QuarantineRecord]) -> int:
        """Keep refused rows in one transaction; how many were not there yet.

        Raises
        ------
        RefusedRows
            `original` is not JSON that PostgreSQL takes (a NUL, a lone surrogate).
        """
        return self._line.write(_TABLE, rows)

    def rows(
        self,
        status: str = "waiting",
        which: Selection | None = None,
        *,
        after_id: int = 0,
        limit: int = 1_000,
    ) -> list[Quarantined]:
        """Rows of one status by id, `limit` at a time: pass the last id as `after_id`."""
        query = f"""
            SELECT {_COLUMNS} FROM event_quarantine
            WHERE status = %(status)s AND id > %(after)s AND {_MATCH} ORDER BY id LIMIT %(limit)s
        """
        asked = _asked(which) | {"status": _known(status), "after": after_id, "limit": limit}
        found = self._line.rows("read the quarantine", query, asked)
        return [Quarantined(*row) for row in found]

    def groups(self) -> list[WaitingGroup]:
        """What waits, by reason, coding and unit, the most rows first."""
        query = """
            SELECT reason, coding, unit, count(*), count(DISTINCT patient_id), mapped_concept,
                mapped_unit
            FROM event_quarantine WHERE status = 'waiting'
            GROUP BY reason, coding, unit, mapped_concept, mapped_unit
            ORDER BY count(*) DESC, reason, coding, unit
        """
        return [WaitingGroup(*row) for row in self._line.rows("read the quarantine", query)]

    def meanings(self) -> list[tuple[str, str, str, str]]:
        """What people said so far: (coding, unit, concept, its unit), the newest word on each."""
        query = """
            SELECT DISTINCT ON (coding, unit) coding, unit, mapped_concept, mapped_unit
            FROM event_quarantine WHERE mapped_concept <> '' OR mapped_unit <> ''
            ORDER BY coding, unit, decided_at DESC
        """
        found = self._line.rows("read the meanings", query)
        return [(str(a), str(b), str(c), str(d)) for a, b, c, d in found]

    def map(self, which: Selection, concept: str, unit: str, who: str) -> int:
        """Say what waiting rows are; they wait on until they are released. How many.

        Parameters
        ----------
        which : Selection
            Of the rows that wait.
        concept, unit : str
            The concept they become and the unit their values are in; "" leaves what was said.
        who : str
            The person, kept with the rows.
        """
        query = f"""
            UPDATE event_quarantine SET decided_by = %(who)s, decided_at = clock_timestamp(),
                mapped_concept = CASE WHEN %(concept)s = '' THEN mapped_concept
                    ELSE %(concept)s END,
                mapped_unit = CASE WHEN %(to_unit)s = '' THEN mapped_unit ELSE %(to_unit)s END
            WHERE status = 'waiting' AND {_MATCH} RETURNING id
        """
        asked = _asked(which) | {"who": _person(who), "concept": concept, "to_unit": unit}
        return len(self._line.rows("map quarantined rows", query, asked))

    def decide(self, ids: Sequence[int], status: str, who: str) -> int:
        """Set rows that wait to `released` (they are events now) or `dropped`; how many.

        Release after the events are stored: storing them again changes nothing, so a crash in
        between costs nothing but the same work again.
        """
        query = """
            UPDATE event_quarantine SET status = %s, decided_by = %s,
                decided_at = clock_timestamp()
            WHERE status = 'waiting' AND id = ANY (%s) RETURNING id
        """
        values = (_known(status), _person(who), list(ids))
        return len(self._line.rows("decide on quarantined rows", query, values))


def _asked(which: Selection | None) -> dict[str, object]:
    chosen = which or Selection()
    return chosen._asdict() | {"ids": list(chosen.ids)}


def _known(status: str) -> str:
    if status not in STATUSES:
        raise ConfigError(f"no quarantine status is called {status!r}; choose one of {STATUSES}")
    return status


def _person(who: str) -> str:
    if not who.strip():
        raise ConfigError("a decision on quarantined rows needs the name of who decides")
    return who
