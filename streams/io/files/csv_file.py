"""Recordings as CSV in the layout of `streams.io.files.table`; a heading may be "ecg [mV]"."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from streams.io.files.recording import Recording, Request, check_some, fault
from streams.io.files.table import check_layout, headings, looks_recorded, recordings

_MISSING = ["", "NaN", "nan", "NA", "null"]
_MAX_HEADER_CHARS = 65_536


def claims(path: Path) -> bool:
    """Whether the path is a CSV file whose header is that of a recording."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    try:
        return looks_recorded(_columns(path))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def read(request: Request) -> Iterator[Recording]:
    """Read one table.

    Parameters
    ----------
    request : Request
        See `streams.io.files.table.recordings`.

    Yields
    ------
    Recording
        One per patient and device.

    Raises
    ------
    SourceError
        Naming file, place and rule.
    """
    path = request.path
    try:
        columns = _columns(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fault(path, "header", f"must be a CSV header in UTF-8 ({error})") from error
    check_layout(path, columns)
    wanted = [heading for heading in headings(columns) if request.wants(heading.name)]
    check_some(path, wanted, [heading.name for heading in headings(columns)])
    text = {name: pa.string() for name in ("time", "patient_id", "device_id")}
    numbers = {heading.column: pa.float64() for heading in wanted}
    options = pc.ConvertOptions(
        column_types={**text, **numbers, "time_us": pa.int64()},
        include_columns=[name for name in columns if name in {*text, *numbers, "time_us"}],
        null_values=_MISSING,
        strings_can_be_null=True,
    )
    try:
        table = pc.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise fault(path, "rows", f"must be a whole CSV table of numbers ({error})") from error
    yield from recordings(table, wanted, request)


def _columns(path: Path) -> list[str]:
    """Headings of the first line."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader([lines.readline(_MAX_HEADER_CHARS)]), [])
