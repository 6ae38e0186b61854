"""Recordings as Parquet in the layout of `streams.io.files.table`.

A unit stands in the heading, "ecg [mV]", or in the metadata of the column under "unit".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from streams.errors import SourceError
from streams.io.files.recording import Recording, Request, check_some, fault
from streams.io.files.table import Heading, check_layout, headings, looks_recorded, recordings

_BROKEN = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, ValueError)


def claims(path: Path) -> bool:
    """Whether the path is a Parquet file with the columns of a recording, or a broken one."""
    if path.suffix.lower() not in {".parquet", ".pq"} or not path.is_file():
        return False
    try:
        return looks_recorded(list(pq.read_schema(path).names))
    except _BROKEN:
        return True  # so that reading it says what is wrong


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
        schema = pq.read_schema(path)
        columns = list(schema.names)
        check_layout(path, columns)
        wanted = [
            Heading(heading.column, heading.name, heading.unit or _unit(schema, heading.column))
            for heading in headings(columns)
            if request.wants(heading.name)
        ]
        check_some(path, wanted, [heading.name for heading in headings(columns)])
        keep = {heading.column for heading in wanted}
        keep |= {"time_us", "time", "patient_id", "device_id"}
        table = pq.read_table(path, columns=[name for name in columns if name in keep])
    except SourceError:
        raise
    except _BROKEN as error:
        raise fault(path, "file", f"must be a whole Parquet file ({error})") from error
    yield from recordings(table, wanted, request)


def _unit(schema: pa.Schema, column: str) -> str:
    """Unit in the metadata of a column, empty where there is none."""
    metadata = schema.field(column).metadata or {}
    return str(metadata.get(b"unit", b""), encoding="utf-8", errors="replace")
