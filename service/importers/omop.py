"""OMOP tables as facts: measurement, drug_exposure, note; one file or a folder of them.

OMOP has one clock. When a row became known is declared: per table below, or by `--delay-s`. A date
without a time of day is its midnight, and known a day later at the earliest. Concept ids are looked
up as OMOP codes, then the source value as a code of the data set's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from service.csv_records import read_records
from service.importers import files
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.times import DAY_US, SECOND_US, iso_us
from streams.errors import SourceError
from streams.records import Reason

Row = Mapping[str, str]

# Unit concept ids as OHDSI's own mapping of MIMIC has them; others are not known here, so that a
# row with one of those and no written unit waits.
UNITS: Final = {
    "8541": "/min",
    "8483": "/min",
    "586323": "Cel",
    "9289": "[degF]",
    "8582": "cm",
    "44777590": "cm[H2O]",
    "8713": "g/dL",
    "8923": "IU/L",
    "8645": "U/L",
    "8848": "10*3/uL",
    "8815": "10*6/uL",
    "9529": "kg",
    "9557": "meq/L",
    "8876": "mm[Hg]",
    "8555": "s",
    "8554": "%",
    "8749": "umol/L",
    "8751": "mg/L",
    "8753": "mmol/L",
    "8840": "mg/dL",
    "8842": "ng/mL",
    "8845": "pg/mL",
    "8564": "pg",
    "8583": "fL",
    "8587": "mL",
    "8698": "L/min",
    "8748": "ug/L",
    "8817": "ng/dL",
    "8837": "ug/dL",
    "8859": "ug/mL",
    "32707": "ng/mL{FEU}",
}


class _Table(NamedTuple):
    """One table: what tells it, its delay, and a fact's own parts."""

    name: str
    key: str  # its primary key
    time: str  # stem of the columns ..._datetime and ..._date
    delay_s: float  # how long after its time a row was known
    codings: Callable[[Row], tuple[str, ...]]
    parts: Callable[[Row], tuple[str, str, str]]  # value, unit, text as written


def _measured(row: Row) -> tuple[str, ...]:
    return _ids(row, "measurement_concept_id", "measurement_source_value")


def _given(row: Row) -> tuple[str, ...]:
    return (*_ids(row, "drug_concept_id", "drug_source_value"), "vigil|medication")


def _noted(row: Row) -> tuple[str, ...]:
    return (*_ids(row, "note_class_concept_id", "note_title"), "vigil|note")


def _unit(row: Row) -> str:
    """Unit as the source wrote it, else what its concept id stands for."""
    written = row.get("unit_source_value", "").strip()
    return written or UNITS.get(row.get("unit_concept_id", ""), "")


def _ids(row: Row, concept: str, source: str) -> tuple[str, ...]:
    """Codings of a row: the standard concept, then the source's own word for it."""
    found = []
    if row.get(concept, "") not in ("", "0"):
        found.append(f"omop|{row[concept]}")
    if row.get(source, ""):
        found.append(f"omop-source|{row[source][:100]}")
    return tuple(found)


TABLES: Final = (
    _Table(
        "measurement",
        "measurement_id",
        "measurement",
        3600.0,
        _measured,
        lambda row: (row.get("value_as_number", ""), _unit(row), ""),
    ),
    _Table(
        "drug_exposure",
        "drug_exposure_id",
        "drug_exposure_start",
        900.0,
        _given,
        lambda row: ("", "", row.get("drug_source_value", "") or row.get("drug_concept_id", "")),
    ),
    _Table(
        "note",
        "note_id",
        "note",
        900.0,
        _noted,
        lambda row: ("", "", row.get("note_text", "")),
    ),
)


def claims(path: Path, head: bytes) -> bool:
    """Whether a path is such a table by its header, or a folder that holds one."""
    if path.is_dir():
        return any(_file(path, table) for table in TABLES)
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace")
    return "\t" not in first and _table(first.strip().split(",")) is not None


def _file(folder: Path, table: _Table) -> Path | None:
    """File of a table in a folder; its header must be that table's."""
    for name in (table.name, table.name.upper()):
        for path in (folder / f"{name}.csv", folder / f"{name}.csv.gz"):
            if path.is_file() and claims(path, files.head(path)):
                return path
    return None


def _table(header: list[str]) -> _Table | None:
    names = {name.strip().strip('"').casefold() for name in header}
    return next((t for t in TABLES if {t.key, "person_id"} <= names), None)


def read(job: Job) -> Iterator[Item]:
    """Facts of a table, or of the tables of a folder.

    Yields
    ------
    Fact or EventError
        Patients are `omop_PERSON`; ids are made of table and primary key.

    Raises
    ------
    SourceError
        A file cannot be read or is no such table.
    """
    if job.path.is_dir():
        paths = [path for table in TABLES if (path := _file(job.path, table))]
    else:
        paths = [job.path]
    for path in paths:
        yield from _of_file(job, path)


def _of_file(job: Job, path: Path) -> Iterator[Item]:
    with files.text(path) as handle:
        records = read_records(handle)
        first = next(records, None)
        header = [name.strip().casefold() for name in (first.fields or [])] if first else []
        table = _table(header)
        if table is None:
            raise SourceError(f"{path}: line 1: no OMOP table that is read")
        for record in records:
            job.rows += 1
            if record.fields is None or len(record.fields) != len(header):
                rule = record.fault or f"expected {len(header)} fields"
                yield EventError(str(path), record.line, "", rule, Reason.BAD_FIELD)
                continue
            row = dict(zip(header, record.fields, strict=True))
            yield _fact(job, path, record.line, table, row)


def _fact(job: Job, path: Path, line: int, table: _Table, row: Row) -> Fact | EventError:
    def bad(column: str, rule: str, reason: Reason) -> EventError:
        return EventError(str(path), line, column, rule, reason)

    moment = row.get(f"{table.time}_datetime", "").strip()
    day = row.get(f"{table.time}_date", "").strip()
    event_us = iso_us(moment or day, job.zone)
    if event_us is None:
        rule = "must be a time; it has no zone: say --zone" if moment or day else "is empty"
        return bad(f"{table.time}_datetime", rule, Reason.BAD_TIME)
    delay_us = round((table.delay_s if job.delay_s is None else job.delay_s) * SECOND_US)
    if not moment or len(moment) <= len("2024-05-01"):
        delay_us = max(delay_us, DAY_US)
    value, unit, text = table.parts(row)
    try:
        number = float(value) if value.strip() else None
    except ValueError:
        return bad("value_as_number", "must be a number", Reason.BAD_FIELD)
    if row.get("operator_concept_id", "") not in ("", "0", _EQUAL):
        return bad("operator_concept_id", "is a bound, not a number", Reason.BAD_FIELD)
    return Fact(
        file=str(path),
        line=line,
        event_id=f"omop:{table.name}:{row[table.key]}",
        patient_id=f"omop_{row['person_id']}",
        codings=table.codings(row),
        event_time_us=event_us,
        known_time_us=event_us + delay_us,
        value=number,
        unit=unit.strip(),
        text=text,
        source=f"omop:{table.name}",
    )


_EQUAL: Final = "4172703"  # the standard concept of "="

IMPORTER: Final = Importer("omop", "OMOP tables", claims, read)
