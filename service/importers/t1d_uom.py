"""T1D-UOM tables (Garmin, glucose sensor, pump, meals) as facts; one file or the whole folder.

Alsuhaymi et al. 2025, doi:10.5281/zenodo.15169263. Clocks, as found in the files: activity carries
epoch seconds; nights and the wrist series are UTC (`start_date_ts` equals the epoch seconds beside
it, and the 5-minute series runs on through the change of clocks); glucose, insulin and meals are
local times of people in the United Kingdom, so `Europe/London` unless a zone is declared. Dates are
DD/MM/YYYY although the data set's README says otherwise. A reading, dose or meal is known when it
happens, an interval at its end, a night at its end. The wrist series itself is a recording
(`streams.io.files.garmin_table`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from service.csv_records import read_records
from service.importers import files
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.times import SECOND_US, day_first_us
from streams.errors import SourceError
from streams.records import Reason

LONDON: Final = ZoneInfo("Europe/London")
UTC: Final = ZoneInfo("UTC")
_PERSON: Final = re.compile(r"(\d{4})(?:sleeptime)?$")
_MEAL_PARTS: Final = {
    "carbs_g": "carbs",
    "prot_g": "protein_intake",
    "fat_g": "fat_intake",
    "fibre_g": "fibre_intake",
}
_STAGES: Final = ("deep", "light", "rem", "awake")


class _Stretch(msgspec.Struct):
    start_s: int = msgspec.field(name="startTimeInSeconds")
    end_s: int = msgspec.field(name="endTimeInSeconds")


_STRETCHES: Final = msgspec.json.Decoder(list[_Stretch])


class _Bad(Exception):  # noqa: N818 - ends the reading of one row
    def __init__(self, column: str, rule: str, reason: Reason) -> None:
        super().__init__(rule)
        self.column, self.rule, self.reason = column, rule, reason


class _File:
    """One table: whose it is, and how many facts had the same time so far."""

    def __init__(self, job: Job, path: Path) -> None:
        found = _PERSON.search(path.stem)
        self.job = job
        self.path = path
        self.person = job.patient_id or (f"t1d_{found[1]}" if found else "")
        self.zone = job.zone or LONDON
        self.delay_us = round((job.delay_s or 0.0) * SECOND_US)
        self.seen: Counter[tuple[str, int]] = Counter()
        self.line = 0

    def fact(
        self, concept: str, at_us: int, value: float | None, unit: str = "", **more: Any
    ) -> Fact:
        """Fact of the current row, known when it happens unless told otherwise."""
        key = (concept, at_us)
        self.seen[key] += 1
        known_us = more.pop("known_us", at_us) + self.delay_us
        return Fact(
            file=str(self.path),
            line=self.line,
            event_id=f"t1d:{self.person}:{concept}:{at_us // SECOND_US}:{self.seen[key]}",
            patient_id=self.person,
            codings=(f"vigil|{concept}",),
            event_time_us=at_us,
            known_time_us=known_us,
            value=value,
            unit=unit,
            source="t1d_uom",
            **more,
        )

    def local_us(self, row: dict[str, str], column: str) -> int:
        """Local time of day in a column."""
        text = row[column]
        found = day_first_us(text, self.zone) if ":" in text else None
        if found is None:
            raise _Bad(column, "must be DD/MM/YYYY HH:MM", Reason.BAD_TIME)
        return found

    def number(self, row: dict[str, str], column: str) -> float | None:
        """Number in a column, None where it is empty."""
        text = row[column].strip()
        if not text:
            return None
        try:
            return float(text)
        except ValueError:
            raise _Bad(column, "must be a number", Reason.BAD_FIELD) from None

    def required(self, row: dict[str, str], column: str) -> float:
        """Number in a column that must have one."""
        found = self.number(row, column)
        if found is None:
            raise _Bad(column, "is empty", Reason.BAD_FIELD)
        return found


def _glucose(row: dict[str, str], file: _File) -> Iterator[Fact]:
    at_us = file.local_us(row, "bg_ts")
    yield file.fact("cgm_glucose", at_us, file.required(row, "value"), "mmol/L")


def _bolus(row: dict[str, str], file: _File) -> Iterator[Fact]:
    dose = file.number(row, "bolus_dose")
    if dose is None:
        file.job.skip("bolus: empty")
        return
    yield file.fact("insulin_bolus", file.local_us(row, "bolus_ts"), dose, "U")


def _basal(row: dict[str, str], file: _File) -> Iterator[Fact]:
    at_us, dose = file.local_us(row, "basal_ts"), file.required(row, "basal_dose")
    kind = row["insulin_kind"].strip()
    if kind == "L":
        yield file.fact("insulin_basal", at_us, dose, "U")
    elif kind == "R":
        yield file.fact("insulin_basal_rate", at_us, dose, "U/h")
    else:
        raise _Bad("insulin_kind", "must be L or R", Reason.BAD_FIELD)


def _meal(row: dict[str, str], file: _File) -> Iterator[Fact]:
    at_us = file.local_us(row, "meal_ts")
    text = ": ".join(filter(None, (row["meal_type"].strip(), row["meal_tag"].strip())))
    for column, concept in _MEAL_PARTS.items():
        grams = file.number(row, column)
        if grams is None:
            file.job.skip(f"meal: {column} empty")
        else:
            yield file.fact(concept, at_us, grams, "g", text=text)


def _activity(row: dict[str, str], file: _File) -> Iterator[Fact]:
    seconds = file.required(row, "start_time_s") + file.required(row, "duration_s")
    ended_us = round(seconds * SECOND_US)
    steps = file.required(row, "step_count")
    text = row["activity_type"].strip().casefold()
    yield file.fact("steps", ended_us, steps, "steps", text=text)


def _night(row: dict[str, str], file: _File) -> Iterator[Fact]:
    begins_us = day_first_us(row["start_date_ts"], UTC)
    if begins_us is None:
        raise _Bad("start_date_ts", "must be DD/MM/YYYY HH:MM", Reason.BAD_TIME)
    ends_us = begins_us + round(file.required(row, "duration_in_sec") * SECOND_US)
    asleep = sum(file.required(row, f"{stage}_sleep_s") for stage in ("deep", "light", "rem"))
    yield file.fact("sleep_duration", ends_us, asleep / 3600, "h", text=row["validation"])
    for stage in _STAGES:
        text = row[f"sleep_levels_map_{stage}"]
        if not text:
            continue
        try:
            stretches = _STRETCHES.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            raise _Bad(f"sleep_levels_map_{stage}", "is not a list", Reason.BAD_FIELD) from None
        for stretch in stretches:
            at_us = stretch.start_s * SECOND_US
            yield file.fact("sleep_stage", at_us, None, text=stage, known_us=ends_us)


def _wrist(row: dict[str, str], file: _File) -> Iterator[Fact]:
    """The wrist series is a stream; its resting rate is a fact."""
    file.job.skip("wrist series: a recording, see vigil ingest")
    rate = file.number(row, "resting_heart_rate")
    if rate:
        at_us = day_first_us(row["sleep_ts"], UTC)
        if at_us is None:
            raise _Bad("sleep_ts", "must be DD/MM/YYYY HH:MM", Reason.BAD_TIME)
        yield file.fact("resting_hr", at_us, rate, "bpm")


class _Table(NamedTuple):
    columns: tuple[str, ...]  # that tell the table
    facts: Callable[[dict[str, str], _File], Iterator[Fact]]


_TABLES: Final = (
    _Table(("bg_ts", "value"), _glucose),
    _Table(("bolus_ts", "bolus_dose"), _bolus),
    _Table(("basal_ts", "basal_dose", "insulin_kind"), _basal),
    _Table(("meal_ts", "meal_type", "meal_tag", *_MEAL_PARTS), _meal),
    _Table(("activity_type", "step_count", "start_time_s", "duration_s"), _activity),
    _Table(("start_date_ts", "duration_in_sec", "validation"), _night),
    _Table(("sleep_ts", "heart_rate", "resting_heart_rate"), _wrist),
)


def claims(path: Path, head: bytes) -> bool:
    """Whether a path is the folder, or one of its tables by the header."""
    if path.is_dir():
        return (path / "Glucose Data").is_dir() or (path / "Insulin Data").is_dir()
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()
    return _table(first.decode("utf-8", "replace").split(",")) is not None


def _table(header: list[str]) -> _Table | None:
    found = {name.strip() for name in header}
    return next((table for table in _TABLES if found.issuperset(table.columns)), None)


def read(job: Job) -> Iterator[Item]:
    """Facts of a table, or of all tables of the folder in the order of their names.

    Yields
    ------
    Fact or EventError
        People are `t1d_NUMBER`, after the number in the file's name.

    Raises
    ------
    SourceError
        A file cannot be read, or names nobody.
    """
    paths = sorted(job.path.rglob("*.csv")) if job.path.is_dir() else [job.path]
    for path in paths:
        yield from _of_file(_File(job, path))


def _of_file(file: _File) -> Iterator[Item]:
    if not file.person:
        raise SourceError(f"{file.path}: whose it is stands in its name, or say --patient")
    with files.text(file.path) as handle:
        records = read_records(handle)
        first = next(records, None)
        header = [name.strip() for name in (first.fields or [])] if first else []
        table = _table(header)
        if table is None:
            raise SourceError(f"{file.path}: line 1: no table of this data set")
        for record in records:
            file.job.rows += 1
            file.line = record.line
            yield from _row(file, table, header, record.fields, record.fault)


def _row(
    file: _File, table: _Table, header: list[str], fields: list[str] | None, fault: str
) -> Iterator[Item]:
    """Facts of one row, all or none: what a broken column had before it is not kept."""
    if fields is None or len(fields) != len(header):
        rule = fault or f"expected {len(header)} fields"
        yield EventError(str(file.path), file.line, "", rule, Reason.BAD_FIELD)
        return
    try:
        facts = list(table.facts(dict(zip(header, fields, strict=True)), file))
    except _Bad as bad:
        yield EventError(str(file.path), file.line, bad.column, bad.rule, bad.reason)
        return
    yield from facts


IMPORTER: Final = Importer("t1d_uom", "T1D-UOM folder or table", claims, read)
