"""MEDS Parquet in and out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.importers import meds
from service.meds_export import SCHEMA, export
from streams.errors import SourceError
from streams.records import ClinicalEvent, Reason
from tests.service.importers.kit import UTC, read

T_US = 1_714_564_800_000_001
NOON = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - MEDS times have no zone


def event(number: int, **changes: Any) -> ClinicalEvent:
    fields: dict[str, Any] = {
        "event_id": f"e{number}",
        "version": 1,
        "status": "final",
        "patient_id": f"p{number % 3}",
        "code": "lactate",
        "value": round(2.1 + number % 40 / 7, 6),  # as stored
        "unit": "mmol/L",
        "text": "",
        "event_time_us": T_US + number,
        "known_time_us": T_US + 3 * number,
        "source": "lab",
    }
    return ClinicalEvent(**{**fields, **changes})


def foreign(path: Path, **columns: list[Any]) -> Path:
    base: dict[str, list[Any]] = {
        "subject_id": [7],
        "time": [NOON],
        "code": ["LOINC//8867-4//bpm"],
        "numeric_value": [61.0],
        "text_value": [None],
    }
    rows = {**base, **columns}
    types = {f.name: f.type for f in SCHEMA}
    arrays = {name: pa.array(values, types.get(name)) for name, values in rows.items()}
    pq.write_table(pa.table(arrays), path)
    return path


def test_events_come_back_as_they_went(tmp_path: Path) -> None:
    given = [event(n) for n in range(500)] + [
        event(500, code="medication", value=1.0, unit="", text="Metoprolol, ‘5 mg’"),
        event(501, status="cancelled", value=None, version=2),
        event(502, code="insulin_bolus", value=0.1, unit="[iU]"),
        event(503, code="consciousness", value=1.0, unit="{ACVPU}", text="confusion"),
    ]
    file = tmp_path / "out.parquet"
    assert export(given, file) == len(given)
    events, errors, job = read(file)
    assert errors == []
    assert events == given
    assert job.rows == len(given)


def test_a_file_of_ours_is_meds_to_others(tmp_path: Path) -> None:
    file = tmp_path / "out.parquet"
    export([event(1)], file)
    table = pq.read_table(file)
    assert table.schema.field("subject_id").type == pa.int64()
    assert table.schema.field("time").type == pa.timestamp("us")
    assert table.schema.field("numeric_value").type == pa.float32()
    row = table.to_pylist()[0]
    assert row["code"] == "LOINC//32693-4"
    assert row["subject_id"] > 0


def test_a_file_of_others_needs_a_zone_and_a_delay(tmp_path: Path) -> None:
    file = foreign(tmp_path / "x.parquet")
    assert read(file)[1][0].reason is Reason.BAD_TIME
    assert read(file, zone=UTC)[1][0].reason is Reason.NO_KNOWN_TIME
    (one,), errors, _ = read(file, zone=UTC, delay_s=60.0)
    assert errors == []
    assert (one.patient_id, one.code, one.value) == ("meds_7", "hr", 61.0)
    assert one.known_time_us - one.event_time_us == 60_000_000


def test_statics_birth_and_death_are_counted_and_other_codes_wait(tmp_path: Path) -> None:
    file = foreign(
        tmp_path / "x.parquet",
        subject_id=[7, 7, 7, 7],
        time=[None, NOON, NOON, NOON],
        code=["GENDER//F", "MEDS_BIRTH", "MEDS_DEATH", "LAB//50971//mEq/L"],
        numeric_value=[None, None, None, 4.0],
        text_value=[None] * 4,
    )
    events, (error,), job = read(file, zone=UTC, delay_s=0.0)
    assert events == []
    assert job.skipped == {"static GENDER": 1, "MEDS_BIRTH": 1, "MEDS_DEATH": 1}
    assert error.fact is not None
    assert (error.fact.codings, error.fact.unit) == (("LAB|50971",), "mEq/L")


def test_shards_of_a_data_set_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    foreign(tmp_path / "data" / "train" / "0.parquet")
    foreign(tmp_path / "data" / "train" / "1.parquet", subject_id=[8])
    events, _, _ = read(tmp_path, zone=UTC, delay_s=0.0)
    assert [e.patient_id for e in events] == ["meds_7", "meds_8"]


def test_half_a_file_and_a_group_over_the_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = foreign(tmp_path / "x.parquet")
    monkeypatch.setattr(meds, "MAX_GROUP_BYTES", 10)
    with pytest.raises(SourceError, match="refused"):
        read(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="no known format"):
        read(file)
