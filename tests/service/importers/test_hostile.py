"""Whatever bytes come: events, errors or `SourceError`, in bounded memory; never anything else."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.importers import registry
from service.importers.contract import Job
from service.importers.fact import EventError, Fact, Terms
from streams.errors import SourceError
from streams.io.store_people import Encounter, Patient
from streams.io.store_rows import SourcedEvent
from streams.records import ClinicalEvent, Reason
from tests.service.importers.kit import UTC, read

CSV_HEAD = b"patient_id,event_time,known_time,code,value,unit,text,source\n"
NOW = "2024-05-01T08:00:00Z"
SEEDS = {
    "csv": CSV_HEAD + f"p1,{NOW},{NOW},hr,60,/min,,ehr\n".encode() * 3,
    "fhir": json.dumps(
        {
            "resourceType": "Bundle",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Observation",
                        "id": "a",
                        "status": "final",
                        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                        "subject": {"reference": "Patient/1"},
                        "effectiveDateTime": NOW,
                        "issued": NOW,
                        "valueQuantity": {"value": 60, "unit": "/min"},
                    }
                }
            ],
        }
    ).encode(),
    "hl7v2": b"MSH|^~\\&|LAB|H|E|H|20240501140000+0000||ORU^R01|1|P|2.5\rPID|1||p1\r"
    b"OBR|1||F7|C|||20240501120000+0000\rOBX|1|NM|8867-4^HR^LN||60|/min|||||F\r",
    "omh": json.dumps(
        {
            "header": {
                "id": "1",
                "creation_date_time": NOW,
                "user_id": "p",
                "schema_id": {"name": "heart-rate"},
            },
            "body": {
                "effective_time_frame": {"date_time": NOW},
                "heart_rate": {"value": 60, "unit": "beats/min"},
            },
        }
    ).encode(),
    "omop": b"measurement_id,person_id,measurement_concept_id,measurement_datetime,"
    b"value_as_number,unit_source_value\n1,7,4239408,2024-05-01T12:00:00Z,60,/min\n",
    "t1d_uom": b"bg_ts,value\n04/09/2023 00:03,4\n",
}


def drain(name: str, path: Path) -> int:
    """Read with one importer, whatever the file is; how many events."""
    job = Job(path, UTC, 0.0, "p")
    terms, events = Terms(), 0
    try:
        for item in registry.named(name).read(job):
            if isinstance(item, (Encounter, Patient)):
                continue
            made = terms.event(item) if isinstance(item, Fact) else item
            assert isinstance(made, (SourcedEvent, EventError, ClinicalEvent))
            events += not isinstance(made, EventError)
    except SourceError:
        pass
    return events


@pytest.mark.parametrize("name", SEEDS)
def test_the_seed_itself_is_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / "seed"
    file.write_bytes(SEEDS[name])
    assert registry.detect(file).name == name
    assert drain(name, file) >= 1


@pytest.mark.parametrize("name", SEEDS)
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_broken_bytes_never_raise_anything_else(
    name: str, tmp_path: Path, data: st.DataObject
) -> None:
    seed = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(seed)))
        cut = data.draw(st.integers(0, 12))
        seed[at : at + cut] = data.draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"null", b"{}", b"[]", b'""', b"-1e999", b"\x00", b"\r\n", b"|", b"^", b",", b'"']
            )
        )
    file = tmp_path / "broken"
    file.write_bytes(bytes(seed))
    drain(name, file)


@pytest.mark.parametrize("name", SEEDS)
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=300))
def test_noise_never_raises_anything_else(name: str, tmp_path: Path, noise: bytes) -> None:
    file = tmp_path / "noise"
    file.write_bytes(noise)
    drain(name, file)


def test_ten_megabytes_of_text_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "big.csv"
    with file.open("wb") as out:
        out.write(CSV_HEAD)
        out.write(f"p1,{NOW},{NOW},note,,,".encode())
        for _ in range(10):
            out.write(b"x" * 1_000_000)
        out.write(f",ehr\np1,{NOW},{NOW},hr,60,/min,,ehr\n".encode())
    tracemalloc.start()
    events, (error,), _ = read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [e.code for e in events] == ["hr"]
    assert error.reason is Reason.BAD_LENGTH
    assert peak < 5_000_000


def test_ten_megabytes_in_a_fhir_note_and_an_hl7_segment_are_refused(tmp_path: Path) -> None:
    note = {
        "resourceType": "Observation",
        "id": "a",
        "status": "final",
        "code": {"coding": [{"system": "urn:vigil:concept", "code": "note"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": NOW,
        "issued": NOW,
        "valueString": "x" * 10_000_000,
    }
    file = tmp_path / "x.ndjson"
    file.write_text(json.dumps(note), encoding="utf-8")
    events, (error,), _ = read(file)
    assert (events, error.reason) == ([], Reason.BAD_LENGTH)
    message = tmp_path / "x.hl7"
    message.write_bytes(SEEDS["hl7v2"] + b"OBX|2|TX|8867-4^HR^LN||" + b"y" * 10_000_000 + b"\r")
    events, (error,), _ = read(message)
    assert (events, error.reason) == ([], Reason.BAD_LENGTH)


def test_a_million_rows_are_read_in_the_memory_of_a_thousand(tmp_path: Path) -> None:
    def peak_of(rows: int) -> int:
        file = tmp_path / f"UoMGlucose{rows % 9000 + 1000}.csv"
        with file.open("w", encoding="utf-8") as out:
            out.write("bg_ts,value\n")
            out.writelines(f"04/09/2023 {n // 60 % 24:02}:{n % 60:02},4\n" for n in range(rows))
        tracemalloc.start()
        assert drain("t1d_uom", file) == rows
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    few, many = peak_of(2_000), peak_of(40_000)
    assert many < few + 1_500_000
