"""OMOP tables as facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.records import Reason
from tests.service.importers.kit import UTC, read

HOUR_US = 3_600_000_000
MEASUREMENT = (
    "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,"
    "operator_concept_id,value_as_number,unit_source_value,measurement_source_value\n"
    "1,7,4152194,2024-05-01,2024-05-01T12:00:00,,120,mmHg,SBP\n"
    "2,7,0,2024-05-01,2024-05-01T12:00:00,,4.1,mmol/L,KAL\n"
    "3,7,4013964,2024-05-01,,0,1.1,mg/dL,CREA\n"
    "4,7,4013964,2024-05-01,2024-05-01T12:00:00,4171756,1.1,mg/dL,CREA\n"
    "5,7,4013964,2024-05-01,2024-05-01T12:00:00,,high,mg/dL,CREA\n"
    "6,7,4013964,,,,1,mg/dL,CREA\n"
    "7,7\n"
)
DRUG = (
    "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,"
    "drug_exposure_start_datetime,drug_source_value\n"
    "1,7,19,2024-05-01,2024-05-01T12:00:00Z,Metoprolol 5 mg\n"
)
NOTE = (
    "note_id,person_id,note_date,note_datetime,note_class_concept_id,note_title,note_text\n"
    '1,7,2024-05-01,2024-05-01T12:00:00Z,0,Nurse,"pale,\nsweating"\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("measurement", MEASUREMENT), ("drug_exposure", DRUG), ("note", NOTE)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_rows_become_events_known_after_the_declared_delay(folder: Path) -> None:
    events, errors, job = read(folder, zone=UTC)
    by_id = {e.event_id: e for e in events}
    pressure = by_id["omop:measurement:1"]
    assert (pressure.code, pressure.value, pressure.patient_id) == ("sbp", 120.0, "omop_7")
    assert pressure.known_time_us - pressure.event_time_us == HOUR_US
    dated = by_id["omop:measurement:3"]
    assert dated.known_time_us - dated.event_time_us == 24 * HOUR_US
    assert by_id["omop:drug_exposure:1"].text == "Metoprolol 5 mg"
    assert by_id["omop:note:1"].text == "pale,\nsweating"
    assert [(e.line, e.reason) for e in errors] == [
        (3, Reason.UNKNOWN_CONCEPT),
        (5, Reason.BAD_FIELD),
        (6, Reason.BAD_FIELD),
        (7, Reason.BAD_TIME),
        (8, Reason.BAD_FIELD),
    ]
    assert errors[0].fact is not None
    assert errors[0].fact.codings == ("omop-source|KAL",)
    assert job.rows == 9


def test_times_without_zone_are_refused_unless_one_is_declared(folder: Path) -> None:
    events, errors, _ = read(folder / "measurement.csv")
    assert events == []
    assert {e.reason for e in errors} == {Reason.BAD_TIME, Reason.BAD_FIELD}


def test_another_delay_can_be_declared(folder: Path) -> None:
    events, _, _ = read(folder / "measurement.csv", zone=UTC, delay_s=60.0)
    assert events[0].known_time_us - events[0].event_time_us == 60_000_000


def test_a_unit_of_the_vocabulary_is_taken_where_none_is_written(tmp_path: Path) -> None:
    file = tmp_path / "measurement.csv"
    file.write_text(
        "measurement_id,person_id,measurement_concept_id,measurement_datetime,value_as_number,"
        "unit_concept_id,unit_source_value\n"
        "1,7,3020891,2024-05-01T12:00:00Z,98.6,9289,\n"
        "2,7,3020891,2024-05-01T12:00:00Z,37.0,9289,Cel\n"
        "3,7,3020891,2024-05-01T12:00:00Z,37.0,1,\n",
        encoding="utf-8",
    )
    events, (error,), _ = read(file)
    assert [(e.code, e.value) for e in events] == [("temp", 37.0), ("temp", 37.0)]
    assert error.reason is Reason.BAD_UNIT
