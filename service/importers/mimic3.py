"""A folder of MIMIC-III tables (CSV, packed or not) as facts.

Times are those of the de-identified hospital clock, read as UTC and moved by whole weeks, so that
every patient's first stay begins in January 2020: within a patient nothing changes. A fact is known
at its store time, never before its event time; tables without one have a declared delay
(`mimic3.toml`). Rows a later row rewrote, and rows the chart itself calls errors, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from service.csv_records import CsvRecord, read_records
from service.importers import files
from service.importers.contract import Importer, Job
from service.importers.contract import Item as Yielded
from service.importers.fact import EventError, Fact
from service.importers.mimic3_items import (
    Item,
    header_of,
    lab_items,
    labels,
    rows_of,
    rules,
    table_path,
)
from service.importers.mimic3_people import people
from service.importers.times import iso_us
from streams.records import Reason

UTC_ZONE: Final = ZoneInfo("UTC")
TABLES: Final = (
    "chartevents",
    "labevents",
    "outputevents",
    "inputevents_cv",
    "inputevents_mv",
    "prescriptions",
)
# Tables without a concept for what they hold: counted, so that nothing disappears.
LEFT: Final = (
    "callout",
    "cptevents",
    "datetimeevents",
    "drgcodes",
    "microbiologyevents",
    "procedureevents_mv",
    "procedures_icd",
    "services",
)
_ENDED: Final = frozenset({"Stopped", "FinishedRunning", "Paused", "Stopped/D/C'd", "D/C'd"})


class Row(NamedTuple):
    """One row of a table, with what every table has."""

    table: str
    path: str
    line: int
    fields: Sequence[str]
    column: dict[str, int]

    def get(self, name: str) -> str:
        """Field of a column, "" where the table has none."""
        at = self.column.get(name)
        return "" if at is None else self.fields[at]


class _Clock:
    """Times of a patient, moved into the years of the log."""

    def __init__(self, shift_us: dict[str, int]) -> None:
        self._shift_us = shift_us

    def us(self, subject: str, text: str) -> int | None:
        moved = self._shift_us.get(subject)
        if not text or moved is None:
            return None
        found = iso_us(text, UTC_ZONE)
        return None if found is None else found - moved


def claims(path: Path, head: bytes) -> bool:
    """Whether a path is a folder with the tables of MIMIC-III."""
    return path.is_dir() and all(table_path(path, name) for name in ("d_items", "chartevents"))


def read(job: Job) -> Iterator[Yielded]:
    """Facts of a folder, table by table, rows in the order of the files.

    Yields
    ------
    Fact or EventError
        Patients are `mimic3_SUBJECT`; ids are made of table and row id.

    Raises
    ------
    SourceError
        A table cannot be read or has no header.
    """
    shift_us, statics = people(job)
    yield from statics
    clock = _Clock(shift_us)
    names = labels(job.path)
    charted = rules().items
    laboratory = lab_items(job.path)
    for table in TABLES:
        items = laboratory if table == "labevents" else charted
        reader = _READERS[table](clock, items, names, job)
        for row in _rows(job, table):
            yield from reader(row)
    for table in LEFT:
        for _ in rows_of(job.path, table):
            job.rows += 1
            job.skip(f"{table}: no concept")


def _rows(job: Job, table: str) -> Iterator[Row]:
    path = table_path(job.path, table)
    if path is None:
        return
    with files.text(path) as handle:
        records = read_records(handle)
        header = header_of(path, next(records, None))
        column = {name: at for at, name in enumerate(header)}
        for record in records:
            job.rows += 1
            fields = record.fields
            if fields is None or len(fields) != len(header):
                yield Row(table, str(path), record.line, _why(record, len(header)), {})
            else:
                yield Row(table, str(path), record.line, fields, column)


def _why(record: CsvRecord, wanted: int) -> list[str]:
    """Reason a record is no row, where its fields would be."""
    if record.fields is None:
        return [record.fault]
    return [f"expected {wanted} fields, found {len(record.fields)}"]


def _error(row: Row, column: str, rule: str, reason: Reason) -> EventError:
    return EventError(row.path, row.line, column, rule, reason)


Reader = Callable[[Row], Iterator[Yielded]]


class _Table:
    """What the readers of all tables share."""

    time_column = "charttime"

    def __init__(
        self, clock: _Clock, items: Mapping[str, Item], names: Mapping[str, str], job: Job
    ) -> None:
        self.clock = clock
        self.items = items
        self.names = names
        self.job = job

    def __call__(self, row: Row) -> Iterator[Yielded]:
        """Facts of one row."""
        if not row.column:
            yield _error(row, "", row.fields[0], Reason.BAD_FIELD)
            return
        yield from self.facts(row)

    def facts(self, row: Row) -> Iterator[Yielded]:
        """Facts of a row with all its fields."""
        raise AssertionError  # every table has its own

    def fact(
        self, row: Row, item: Item, value: float | None, unit: str, text: str = "", suffix: str = ""
    ) -> Fact | EventError:
        """Fact at the row's own time, known when stored."""
        return self.fact_at(row, item, (value, unit, text), self.time_column, suffix)

    def fact_at(
        self,
        row: Row,
        item: Item,
        what: tuple[float | None, str, str],
        time_column: str,
        suffix: str = "",
    ) -> Fact | EventError:
        """Fact at the time in a column."""
        subject = row.get("subject_id")
        event_us = self.clock.us(subject, row.get(time_column))
        if event_us is None:
            return _error(row, time_column, "no time, or of an unknown patient", Reason.BAD_TIME)
        stored_us = self.clock.us(subject, row.get("storetime"))
        if stored_us is None:
            stored_us = event_us + rules().delay_us[row.table]
        value, unit, text = what
        return Fact(
            file=row.path,
            line=row.line,
            event_id=f"mimic3:{row.table}:{row.get('row_id')}{suffix}",
            patient_id=f"mimic3_{subject}",
            codings=item.codings,
            event_time_us=event_us,
            known_time_us=max(stored_us, event_us),
            value=value,
            unit=item.units.get(unit, unit) if unit else item.blank,
            text=text,
            source=f"mimic3:{row.table}",
        )

    def unmapped(self, row: Row) -> None:
        item_id = row.get("itemid")
        self.job.skip(f"{row.table}: item {item_id} {self.names.get(item_id, '')}")


class _Measured(_Table):
    """chartevents, labevents and outputevents: a value of an item."""

    value_column = "valuenum"

    def facts(self, row: Row) -> Iterator[Yielded]:
        item = self.items.get(row.get("itemid"))
        if item is None:
            self.unmapped(row)
            return
        if row.get("error") == "1" or row.get("iserror") == "1":
            self.job.skip(f"{row.table}: called an error by the chart")
            return
        written = row.get("value").strip()
        if written in item.leave:
            self.job.skip(
                f"{row.table}: {item.concept} {written or 'empty'}: no place on the scale"
            )
            return
        if item.words:
            yield self.fact(row, item, None, "", item.words.get(written, written))
            return
        number = _number(row.get(self.value_column))
        if number is None:
            empty = not written
            self.job.skip(f"{row.table}: {item.concept}: {'empty' if empty else 'not a number'}")
            return
        yield self.fact(row, item, number, row.get("valueuom").strip())


class _Output(_Measured):
    value_column = "value"


class _Carevue(_Table):
    """inputevents_cv: an amount or a rate at a time."""

    def facts(self, row: Row) -> Iterator[Yielded]:
        item_id = row.get("itemid")
        item = self.items.get(item_id)
        if item is None:
            yield self.fact(row, _drug(item_id), None, "", self.names.get(item_id, ""))
            return
        unit = row.get("rateuom").strip()
        rate = _number(row.get("rate"))
        if rate is None and unit and row.get("stopped") in _ENDED:
            rate = 0.0
        if rate is None:
            self.job.skip("inputevents_cv: amount beside a rate")
            return
        yield self.fact(row, item, rate, unit)


class _Metavision(_Table):
    """inputevents_mv: an amount or a rate from a start to an end."""

    time_column = "starttime"

    def facts(self, row: Row) -> Iterator[Yielded]:
        status = row.get("statusdescription")
        if status == "Rewritten":
            self.job.skip("inputevents_mv: rewritten by a later row")
            return
        item_id = row.get("itemid")
        item = self.items.get(item_id)
        if item is None:
            yield self.fact(row, _drug(item_id), None, "", self.names.get(item_id, ""))
            return
        rate = _number(row.get("rate"))
        if rate is None:
            yield self.fact(row, item, _number(row.get("amount")), row.get("amountuom").strip())
            return
        unit = row.get("rateuom").strip()
        if item.concept.startswith("insulin"):  # a dose item given as an infusion
            item = _INFUSED_INSULIN
        yield self.fact(row, item, rate, unit)
        if status in _ENDED:
            yield self.fact_at(row, item, (0.0, unit, ""), "endtime", ":end")


class _Prescribed(_Table):
    """prescriptions: a drug by name from a day on."""

    time_column = "startdate"

    def facts(self, row: Row) -> Iterator[Yielded]:
        item = Item(("mimic3|prescription", "vigil|medication"), "medication")
        yield self.fact(row, item, None, "", row.get("drug"))


_INFUSED_INSULIN: Final = Item(
    ("mimic3|insulin infusion", "vigil|insulin_basal_rate"),
    "insulin_basal_rate",
    "",
    {"units/hour": "[iU]/h", "units/hr": "[iU]/h"},
)


def _drug(item_id: str) -> Item:
    return Item((f"mimic3|{item_id}", "vigil|medication"), "medication")


def _number(text: str) -> float | None:
    """Number of a field; None where there is none, "nan" and "inf" included."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value - value == 0.0 else None


_READERS: Final[dict[str, type[_Table]]] = {
    "chartevents": _Measured,
    "labevents": _Measured,
    "outputevents": _Output,
    "inputevents_cv": _Carevue,
    "inputevents_mv": _Metavision,
    "prescriptions": _Prescribed,
}

IMPORTER: Final = Importer("mimic3", "MIMIC-III folder", claims, read)
