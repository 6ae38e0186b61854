"""Clinical events from CSV: one row in, one `ClinicalEvent` or one `EventError` out.

Not here: storing them (`service.event_store`), or what a concept, unit or range is
(`features.concepts`). Nothing is guessed: a row without zone, unit or known time is refused.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from features import concepts
from service.csv_records import CsvRecord, read_records
from service.importers import files
from service.importers.fact import CAN_WAIT, RULES, EventError, Fact
from streams import codec
from streams.errors import SourceError
from streams.records import ClinicalEvent, Reason

COLUMNS = ("patient_id", "event_time", "known_time", "code", "value", "unit", "text", "source")
OPTIONAL_COLUMNS = ("event_id", "version", "status")
NAMESPACE = uuid.UUID("0b9c2f5e-6f0a-5d0e-9a53-6f1f7c1f2d10")  # of event ids made from rows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"\d{1,18}", re.ASCII)
_SECONDS = re.compile(r"\+\d{1,10}(\.\d{1,6})?", re.ASCII)
_TEXT_LIMITS = {"unit": codec.MAX_UNIT_BYTES, "text": codec.MAX_TEXT_BYTES}

Base = int | Mapping[str, int] | None


class _Refused(Exception):  # noqa: N818 - internal: ends the reading of one row
    def __init__(self, column: str, rule: str, reason: Reason) -> None:
        super().__init__(rule)
        self.column, self.rule, self.reason = column, rule, reason
        self.fact: Fact | None = None


def parse_events(path: str | Path, base_us: Base = None) -> Iterator[ClinicalEvent | EventError]:
    """Read a CSV file of clinical events, row by row.

    Parameters
    ----------
    path : path
        UTF-8, comma-separated, with a header that names `COLUMNS` in any order and perhaps
        some of `OPTIONAL_COLUMNS`.
    base_us : int, mapping of patient_id to int, or None
        µs UTC of the start of the recording (or of each patient's): what times written as
        ``+SECONDS`` count from. None refuses such times.

    Yields
    ------
    ClinicalEvent or EventError
        In file order; a refused row costs its neighbours nothing.

    Raises
    ------
    SourceError
        At the first row: the file cannot be read, is empty, or its header is not as expected.

    Notes
    -----
    Times are ISO 8601 with a zone, integer µs since 1970, or ``+SECONDS``.
    `event_id` is the file's, or a uuid5 of patient, code, event time and source as written, plus
    a running number among rows alike in these four: reading the file again gives the same ids.
    For that number a digest of every row is kept, about 100 bytes; nothing else grows.
    """
    name = str(path)
    with files.text(Path(path)) as handle:
        records = read_records(handle)
        header = _header(name, next(records, None))
        rows = _Rows(header, base_us)
        for record in records:
            try:
                yield rows.event(record)
            except _Refused as fault:
                fact = fault.fact and msgspec.structs.replace(
                    fault.fact, file=name, line=record.line
                )
                yield EventError(name, record.line, fault.column, fault.rule, fault.reason, fact)


def _header(name: str, record: CsvRecord | None) -> list[str]:
    expected = f"expected {','.join(COLUMNS)} (and perhaps {','.join(OPTIONAL_COLUMNS)})"
    if record is None or record.fields is None:
        raise SourceError(f"{name}: line 1: no header; {expected}")
    found = [field.strip() for field in record.fields]
    missing = [column for column in COLUMNS if column not in found]
    unknown = [column for column in found if column not in COLUMNS + OPTIONAL_COLUMNS]
    twice = [column for column, count in Counter(found).items() if count > 1]
    faults = [
        f"{what} {', '.join(repr(column[:40]) for column in columns[:12])}"
        for what, columns in (("missing", missing), ("unknown", unknown), ("repeated", twice))
        if columns
    ]
    if faults:
        raise SourceError(f"{name}: line {record.line}: columns {'; '.join(faults)}; {expected}")
    return found


class _Rows:
    """Turn rows into events; remembers which rows came before only to number equal ones."""

    def __init__(self, header: list[str], base_us: Base) -> None:
        self.header = header
        self.base_us = base_us
        self.seen: set[int] = set()
        self.repeats: Counter[int] = Counter()

    def event(self, record: CsvRecord) -> ClinicalEvent:
        """Give the event of one record, or raise `_Refused`."""
        row = self._row(record)
        event_time_us = self._time(row, "event_time", Reason.BAD_TIME)
        known_time_us = self._time(row, "known_time", Reason.NO_KNOWN_TIME)
        fact = Fact(
            file="",
            line=0,
            event_id=row.get("event_id") or self._id(row, event_time_us),
            version=_version(row.get("version", "")),
            status=row.get("status") or "final",
            patient_id=row["patient_id"],
            codings=(f"vigil|{row['code']}",),
            value=_value(row),
            unit=row["unit"],
            text=row["text"],
            event_time_us=event_time_us,
            known_time_us=known_time_us,
            source=row["source"],
        )
        event = _event(fact, row["code"])
        refused = codec.admit(event, 0, 0, 0).rejected
        if refused:
            raise _Refused("", refused[0].detail, refused[0].reason)
        return event

    def _row(self, record: CsvRecord) -> dict[str, str]:
        """Fields by column, all of them sound text within the limits."""
        if record.fields is None:
            raise _Refused("", record.fault, Reason.BAD_LENGTH)
        if len(record.fields) != len(self.header):
            rule = f"expected {len(self.header)} fields, found {len(record.fields)}"
            raise _Refused("", rule, Reason.BAD_FIELD)
        row = dict(zip(self.header, record.fields, strict=True))
        for column, field in row.items():
            _check_text(column, field)
        return {c: field if c == "text" else field.strip() for c, field in row.items()}

    def _time(self, row: Mapping[str, str], column: str, if_empty: Reason) -> int:
        text = row[column]
        if not text:
            raise _Refused(column, "must be given: it is never guessed", if_empty)
        if text.startswith("+"):
            return self._relative(text, row["patient_id"], column)
        if _INTEGER.fullmatch(text):
            return int(text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            rule = "must be ISO 8601 with a zone, or integer µs since 1970"
            raise _Refused(column, rule, Reason.BAD_TIME) from None
        if moment.tzinfo is None:
            rule = "has no zone; write Z or an offset such as +01:00"
            raise _Refused(column, rule, Reason.BAD_TIME)
        return (moment - _EPOCH) // _MICROSECOND

    def _relative(self, text: str, patient_id: str, column: str) -> int:
        base_us = self.base_us
        if isinstance(base_us, Mapping):
            base_us = base_us.get(patient_id)
        if base_us is None:
            rule = "+SECONDS counts from a recording of this patient, and none is given"
            raise _Refused(column, rule, Reason.BAD_TIME)
        if not _SECONDS.fullmatch(text):
            rule = "+SECONDS takes digits and at most 6 decimals"
            raise _Refused(column, rule, Reason.BAD_TIME)
        return base_us + int(Decimal(text) * 1_000_000)

    def _id(self, row: Mapping[str, str], event_time_us: int) -> str:
        """Id of a row that has none: of its content, and its number among equal rows."""
        parts = (row["patient_id"], row["code"], str(event_time_us), row["source"])
        content = "\x1f".join(parts)
        first = uuid.uuid5(NAMESPACE, content)
        digest = first.int >> 64
        if digest not in self.seen:
            self.seen.add(digest)
            return str(first)
        self.repeats[digest] += 1
        return str(uuid.uuid5(NAMESPACE, f"{content}\x1f{self.repeats[digest]}"))


def _check_text(column: str, field: str) -> None:
    try:
        size = len(field.encode())
    except UnicodeEncodeError:
        raise _Refused(column, "is not UTF-8 text", Reason.UNDECODABLE) from None
    limit = _TEXT_LIMITS.get(column, codec.MAX_ID_BYTES)
    if size > limit:
        raise _Refused(column, f"has {size} bytes, at most {limit}", Reason.BAD_LENGTH)
    if "\x00" in field:
        raise _Refused(column, "contains a NUL character", Reason.BAD_FIELD)


def _value(row: Mapping[str, str]) -> float | None:
    """Number of a row, None where it is empty."""
    written = row["value"]
    if written and not _NUMBER.fullmatch(written):
        rule = "must be a plain number with a decimal point, or empty"
        raise _Refused("value", rule, Reason.BAD_FIELD)
    return float(written) if written else None


def _event(fact: Fact, code: str) -> ClinicalEvent:
    """Event of a row in the concept's own terms."""
    concept = concepts.find(code)
    if fact.status == "cancelled" and fact.value is None and concept is not None:
        # A cancellation only has to name what it removes.
        made: tuple[str, float | None, str, str] = (concept.code, None, concept.unit, fact.text)
    else:
        normal = concepts.normalise(code, fact.value, fact.unit, fact.text)
        if isinstance(normal, Reason):
            refused = _Refused(*RULES[normal], normal)
            refused.fact = fact if normal in CAN_WAIT else None
            raise refused
        made = normal
    return ClinicalEvent(
        fact.event_id,
        fact.version,
        fact.status,
        fact.patient_id,
        *made,
        fact.event_time_us,
        fact.known_time_us,
        fact.source,
    )


def _version(text: str) -> int:
    if not text:
        return 1
    if not _INTEGER.fullmatch(text):
        raise _Refused("version", "must be a whole number", Reason.BAD_FIELD)
    return int(text)
