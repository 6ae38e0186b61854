"""MEDS 0.4 Parquet as facts: `subject_id, time, code, numeric_value, text_value` and more.

MEDS has one clock and float32 numbers. A file of ours carries the rest in further columns, as the
open schema allows (`service.meds_export`): known time, exact value, unit, id, version, status.
A file of somebody else's needs a declared delay, and a zone, for its times have none. Codes are
"SYSTEM//code" or "SYSTEM//code//unit"; rows without a time are statics and are left out, but for
those of birth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.times import SECOND_US, as_us
from streams.errors import SourceError
from streams.records import Reason

BATCH_ROWS: Final = 10_000
MAX_GROUP_BYTES: Final = 2**30  # unpacked, of one row group
REQUIRED: Final = ("subject_id", "time", "code", "numeric_value")
OWN: Final = (
    "vigil_patient_id",
    "vigil_known_us",
    "vigil_event_us",
    "vigil_value",
    "vigil_unit",
    "vigil_event_id",
    "vigil_version",
    "vigil_status",
    "vigil_source",
)
_SYSTEMS: Final = {"LOINC": "loinc", "SNOMED": "snomed", "OMOP": "omop", "VIGIL": "vigil"}
_BROKEN: Final = (pa.ArrowException, OSError, ValueError)


def claims(path: Path, head: bytes) -> bool:
    """Whether a file is Parquet with the columns of MEDS, or a folder has shards of it."""
    if path.is_dir():
        first = next(iter(sorted((path / "data").rglob("*.parquet"))), None)
        return first is not None and claims(first, first.read_bytes()[:4])
    if not head.startswith(b"PAR1"):
        return False
    try:
        names = pq.read_schema(path).names
    except _BROKEN:
        return False
    return set(REQUIRED) <= set(names)


def read(job: Job) -> Iterator[Item]:
    """Facts of a file, or of the shards under `data/` of a data set, in order.

    Yields
    ------
    Fact or EventError
        Patients are `meds_SUBJECT` unless the file is one of ours.

    Raises
    ------
    SourceError
        A file is not whole Parquet, or a row group unpacks over `MAX_GROUP_BYTES`.
    """
    root = job.path
    paths = sorted((root / "data").rglob("*.parquet")) if root.is_dir() else [root]
    for path in paths:
        try:
            yield from _of_file(job, path)
        except _BROKEN as fault:
            raise SourceError(f"{path}: cannot be read as Parquet: {fault}") from None


def _of_file(job: Job, path: Path) -> Iterator[Item]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).total_byte_size
            if size > MAX_GROUP_BYTES:
                raise SourceError(f"{path}: row group {group} unpacks to {size} bytes: refused")
        known = (*REQUIRED, "text_value", "unit", *OWN)
        columns = [name for name in known if name in file.schema_arrow.names]
        line = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                line += 1
                job.rows += 1
                yield from _facts(job, path, line, row)


def _facts(job: Job, path: Path, line: int, row: dict[str, Any]) -> Iterator[Item]:
    code = row["code"] or ""
    if row["time"] is None:
        job.skip(f"static {code.split('//')[0][:40]}")
        return
    if code.split("//")[0] in ("MEDS_BIRTH", "MEDS_DEATH"):
        job.skip(code.split("//")[0])
        return
    event_us = row.get("vigil_event_us") or _us(job, row["time"])
    known_us = row.get("vigil_known_us")
    if known_us is None and event_us is not None and job.delay_s is not None:
        known_us = event_us + round(job.delay_s * SECOND_US)
    if event_us is None:
        rule = "has no zone, as MEDS has none: say --zone"
        yield EventError(str(path), line, "time", rule, Reason.BAD_TIME)
        return
    if known_us is None:
        rule = "MEDS does not say when it was known: declare a delay"
        yield EventError(str(path), line, "time", rule, Reason.NO_KNOWN_TIME)
        return
    codings, unit = _code(code)
    exact = row.get("vigil_value")
    value = row["numeric_value"] if exact is None else exact
    patient = row.get("vigil_patient_id") or f"meds_{row['subject_id']}"
    name = row.get("vigil_event_id") or f"meds:{path.stem}:{row['subject_id']}:{line}"
    yield Fact(
        file=str(path),
        line=line,
        event_id=name,
        patient_id=patient,
        codings=codings,
        event_time_us=event_us,
        known_time_us=known_us,
        value=None if value is None else float(value),
        unit=row.get("vigil_unit") or row.get("unit") or unit,
        text=row.get("text_value") or "",
        version=1 if row.get("vigil_version") is None else row["vigil_version"],
        status=row.get("vigil_status") or "final",
        source=row.get("vigil_source") or "meds",
    )


def _us(job: Job, moment: Any) -> int | None:
    """µs UTC of a time stamp of the file."""
    if moment.tzinfo is None:
        if job.zone is None:
            return None
        moment = moment.replace(tzinfo=job.zone)
    return as_us(moment)


def _code(code: str) -> tuple[tuple[str, ...], str]:
    """Codings and unit of a MEDS code.

    Examples
    --------
    >>> _code("LOINC//8867-4"), _code("LAB//50971//mEq/L")
    ((('loinc|8867-4',), ''), (('LAB|50971',), 'mEq/L'))
    """
    system, _, rest = code.partition("//")
    name, _, unit = rest.partition("//")
    if not rest:
        return (f"meds|{code}",), ""
    return (f"{_SYSTEMS.get(system, system)}|{name}",), unit


IMPORTER: Final = Importer("meds", "MEDS Parquet", claims, read)
