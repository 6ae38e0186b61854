"""Stored events as MEDS 0.4 Parquet, and back without loss.

`numeric_value` is float32 and `time` has no zone in MEDS, so what that loses stands beside it in
columns of our own, which the open schema allows and `service.importers.meds` reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from features.concepts import CONCEPTS, INDEX
from streams.records import ClinicalEvent

GROUP_ROWS: Final = 50_000
SCHEMA: Final = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.large_string()),
        ("vigil_patient_id", pa.string()),
        ("vigil_event_us", pa.int64()),
        ("vigil_known_us", pa.int64()),
        ("vigil_value", pa.float64()),
        ("vigil_unit", pa.string()),
        ("vigil_event_id", pa.string()),
        ("vigil_version", pa.int32()),
        ("vigil_status", pa.string()),
        ("vigil_source", pa.string()),
    ]
)


def export(events: Iterable[ClinicalEvent], path: Path) -> int:
    """Write events to a Parquet file in the order given; how many.

    MEDS wants one subject's rows together and in order of time: give them so.
    """
    count = 0
    held: list[ClinicalEvent] = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for event in events:
            held.append(event)
            if len(held) == GROUP_ROWS:
                writer.write_table(_table(held))
                count += len(held)
                held.clear()
        if held:
            writer.write_table(_table(held))
            count += len(held)
    return count


def subject_id(patient_id: str) -> int:
    """Number of a patient: 62 bits of a digest, the same on every machine.

    Examples
    --------
    >>> subject_id("p1") == subject_id("p1"), subject_id("p1") == subject_id("p2")
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8]) >> 2


def _table(events: list[ClinicalEvent]) -> pa.Table:
    columns = [
        [subject_id(e.patient_id) for e in events],
        [e.event_time_us for e in events],
        [_code(e.code) for e in events],
        [e.value for e in events],
        [e.text or None for e in events],
        [e.patient_id for e in events],
        [e.event_time_us for e in events],
        [e.known_time_us for e in events],
        [e.value for e in events],
        [e.unit for e in events],
        [e.event_id for e in events],
        [e.version for e in events],
        [e.status for e in events],
        [e.source for e in events],
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _code(concept: str) -> str:
    """LOINC where the concept has one, else its own name."""
    at = INDEX.get(concept)
    loinc = CONCEPTS[at].loinc if at is not None else ()
    return f"LOINC//{loinc[0]}" if loinc else f"VIGIL//{concept}"
