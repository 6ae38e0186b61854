"""FHIR R4B as facts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from service.importers import files
from streams.errors import SourceError
from streams.io.store_people import Encounter, Patient
from streams.records import Reason
from tests.service.importers.kit import PEOPLE, UTC, read

NOON = "2024-05-01T12:00:00Z"
NOON_US = 1_714_564_800_000_000
HOUR_US = 3_600_000_000


def coded(code: str, system: str = "http://loinc.org", **more: Any) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **more}


def observation(**changes: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": coded("2823-3"),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": NOON,
        "issued": "2024-05-01T13:00:00+00:00",
        "valueQuantity": {
            "value": 4.1,
            "unit": "mmol/l",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
    }
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def bundle(path: Path, *resources: Any) -> Path:
    document = {"resourceType": "Bundle", "type": "collection"}
    document["entry"] = [{"resource": one} for one in resources]  # type: ignore[assignment]
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bundle.json"


def test_an_observation_is_an_event_known_when_issued(file: Path) -> None:
    (event,), errors, _ = read(bundle(file, observation()))
    assert errors == []
    assert (event.event_id, event.patient_id, event.code) == ("fhir:Observation/o1", "p1", "k")
    assert (event.value, event.unit, event.status) == (4.1, "mmol/L", "final")
    assert event.event_time_us == NOON_US
    assert event.known_time_us == NOON_US + HOUR_US


def test_the_resources_of_these_tests_are_fhir() -> None:
    resources = pytest.importorskip("fhir.resources.R4B.observation")
    resources.Observation.model_validate(observation())
    panel = observation(
        valueQuantity=None,
        component=[{"code": coded("8480-6"), "valueQuantity": {"value": 120, "unit": "mmHg"}}],
    )
    resources.Observation.model_validate(panel)


def test_components_are_events_of_their_own(file: Path) -> None:
    panel = observation(
        code=coded("85354-9"),
        valueQuantity=None,
        component=[
            {"code": coded("8480-6"), "valueQuantity": {"value": 120, "unit": "mmHg"}},
            {"code": coded("8462-4"), "valueQuantity": {"value": 70, "unit": "mmHg"}},
        ],
    )
    events, errors, _ = read(bundle(file, panel))
    assert errors == []
    assert {e.code: e.value for e in events} == {"sbp": 120.0, "dbp": 70.0}
    assert len({e.event_id for e in events}) == 2


def test_a_correction_is_a_higher_version_of_the_same_event(file: Path) -> None:
    events, _, _ = read(
        bundle(
            file,
            observation(),
            observation(status="corrected", issued="2024-05-01T14:00:00Z"),
            observation(status="entered-in-error", issued="2024-05-01T15:00:00Z"),
        )
    )
    assert [e.status for e in events] == ["final", "corrected", "cancelled"]
    assert len({e.event_id for e in events}) == 1
    assert events[0].version < events[1].version < events[2].version


def test_the_version_of_the_server_is_taken_where_it_is_a_number(file: Path) -> None:
    (event,), _, _ = read(bundle(file, observation(meta={"versionId": "3"})))
    assert event.version == 3


def test_without_any_known_time_a_resource_is_refused_unless_a_delay_is_declared(
    file: Path,
) -> None:
    bundle(file, observation(issued=None))
    events, (error,), _ = read(file)
    assert events == []
    assert error.reason is Reason.NO_KNOWN_TIME
    (event,), errors, _ = read(file, delay_s=60.0)
    assert errors == []
    assert event.known_time_us == NOON_US + 60_000_000


def test_a_time_without_zone_is_refused_unless_one_is_declared(file: Path) -> None:
    bundle(file, observation(effectiveDateTime="2024-05-01T12:00:00"))
    assert read(file)[1][0].reason is Reason.BAD_TIME
    assert read(file, zone=UTC)[0][0].event_time_us == NOON_US


def test_a_bound_is_not_taken_for_a_number(file: Path) -> None:
    value = {"value": 0.01, "comparator": "<", "unit": "ng/mL"}
    events, (error,), _ = read(bundle(file, observation(valueQuantity=value)))
    assert events == []
    assert (error.column, error.reason) == ("valueQuantity", Reason.BAD_FIELD)


def test_an_unknown_code_or_unit_waits_with_its_reason(file: Path) -> None:
    _, errors, _ = read(
        bundle(
            file,
            observation(code=coded("XY1", "http://lab.example")),
            observation(id="o2", valueQuantity={"value": 4, "unit": "furlong"}),
        )
    )
    assert [e.reason for e in errors] == [Reason.UNKNOWN_CONCEPT, Reason.BAD_UNIT]
    assert [e.fact is not None for e in errors] == [True, True]
    assert errors[0].fact is not None
    assert errors[0].fact.codings == ("http://lab.example|XY1",)


def stay() -> list[dict[str, Any]]:
    """What one stay leaves: drugs, a diagnosis, a note, the person; and somebody else."""
    subject = {"subject": {"reference": "http://ehr.example/fhir/Patient/p1"}}
    meta = {"meta": {"lastUpdated": "2024-05-01T12:30:00Z"}}
    note = base64.b64encode("müde, ‘wirr’".encode()).decode()
    return [
        {
            "resourceType": "MedicationAdministration",
            "id": "a",
            "status": "completed",
            "effectivePeriod": {"start": NOON, "end": "2024-05-01T12:10:00Z"},
            "medicationCodeableConcept": {"text": "Paracetamol 1 g"},
            **subject,
            **meta,
        },
        {
            "resourceType": "MedicationRequest",
            "id": "r",
            "status": "active",
            "authoredOn": NOON,
            "medicationCodeableConcept": coded("x", "rx", text="Metoprolol"),
            **subject,
        },
        {
            "resourceType": "Condition",
            "id": "c",
            "recordedDate": NOON,
            "code": {"text": "Pneumonia"},
            **subject,
        },
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"code": "IMP"},
            "period": {"start": NOON, "end": "2024-05-02T12:00:00Z"},
            **subject,
        },
        {
            "resourceType": "DocumentReference",
            "id": "d",
            "status": "current",
            "date": NOON,
            "content": [{"attachment": {"contentType": "text/plain", "data": note}}],
            **subject,
        },
        {
            "resourceType": "Patient",
            "id": "p1",
            "gender": "female",
            "birthDate": "1950-05-01",
            **meta,
        },
        {"resourceType": "Practitioner", "id": "x"},
    ]


def test_medication_condition_encounter_and_note_are_events(file: Path) -> None:
    events, errors, job = read(bundle(file, *stay()))
    assert errors == []
    assert [(e.code, e.text) for e in events] == [
        ("medication", "Paracetamol 1 g"),
        ("medication", "Metoprolol"),
        ("diagnosis", "Pneumonia"),
        ("encounter", "admitted IMP"),
        ("encounter", "discharged IMP"),
        ("note", "müde, ‘wirr’"),
        ("sex", "female"),
        ("age_years", ""),
    ]
    assert {e.patient_id for e in events} == {"p1"}
    day_us = 24 * HOUR_US
    assert PEOPLE[file] == [
        Encounter("fhir:e", "p1", NOON_US, NOON_US + day_us, "IMP", "", "fhir"),
        Patient("p1", "1950-05-01", "female", None, "fhir"),
    ]
    assert events[0].known_time_us == NOON_US + HOUR_US // 2
    assert job.skipped == {"resource Practitioner": 1}


def test_resources_one_per_line_are_read_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "bulk.ndjson"
    lines = [json.dumps(observation(id=f"o{n}")) for n in range(3)]
    lines.insert(1, "{half a resource")
    file.write_text("\n".join(lines), encoding="utf-8")
    events, (error,), job = read(file)
    assert len(events) == 3
    assert (error.line, error.reason) == (2, Reason.UNDECODABLE)
    assert job.rows == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "p1"},
        {"subject": None},
        {"subject": {"reference": 3}, "code": 7},
        {"valueQuantity": [1]},
        {"valueQuantity": {"value": "4,1", "unit": "mmol/L"}},
        {"valueQuantity": {"value": 1e300, "unit": "mmol/L"}},
        {"code": {"coding": "8480-6"}},
        {"component": 3},
        {"component": [3]},
        {"effectiveDateTime": {"a": 1}},
        {"meta": 3},
        {"id": None},
        {"id": ""},
        {"status": ["final"]},
    ],
)
def test_a_resource_of_other_types_than_fhir_gives_costs_its_neighbours_nothing(
    file: Path, changes: dict[str, Any]
) -> None:
    events, errors, job = read(bundle(file, observation(**changes), observation(id="good")))
    assert [e.event_id for e in events][-1:] == ["fhir:Observation/good"]
    assert len(events) + len(errors) + sum(job.skipped.values()) >= 2


def test_deep_nesting_is_refused_and_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    deep = '{"resourceType": "Observation", "extension": ' + "[" * 100_000 + "]" * 100_000 + "}"
    file = tmp_path / "deep.ndjson"
    file.write_text(json.dumps(observation()) + "\n" + deep + "\n", encoding="utf-8")
    events, (error,), _ = read(file)
    assert len(events) == 1
    assert (error.line, error.reason) == (2, Reason.UNDECODABLE)
    whole = tmp_path / "deep.json"
    whole.write_text(
        '{"resourceType": "Bundle", "entry": [{"resource": ' + deep + "}]}", encoding="utf-8"
    )
    with pytest.raises(SourceError, match="not a FHIR document"):
        read(whole)


def test_an_entry_without_a_resource_is_counted(file: Path) -> None:
    file.write_text(
        json.dumps(
            {
                "resourceType": "Bundle",
                "entry": [{"request": {"method": "DELETE"}}, {"resource": observation()}],
            }
        ),
        encoding="utf-8",
    )
    events, errors, job = read(file)
    assert (len(events), errors) == (1, [])
    assert job.skipped == {"entry without a resource": 1}


def test_a_stay_that_ends_before_it_starts_is_refused(file: Path) -> None:
    stay = {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "period": {"start": NOON, "end": NOON},
        "subject": {"reference": "Patient/p1"},
    }
    _, (error,), _ = read(bundle(file, stay))
    assert (error.column, error.reason) == ("period", Reason.BAD_TIME)
    assert PEOPLE[file] == []


def test_half_a_bundle_is_refused(file: Path) -> None:
    bundle(file, observation())
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SourceError, match="not a FHIR document"):
        read(file)


def test_a_bundle_over_the_bound_is_refused_before_it_is_parsed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_DOCUMENT_BYTES", 1_000)
    bundle(file, observation(note=[{"text": "x" * 2_000}]))
    with pytest.raises(SourceError, match="one record per line"):
        read(file)


def test_xml_is_refused_before_any_parser_sees_it(tmp_path: Path) -> None:
    file = tmp_path / "bomb.xml"
    file.write_text(
        '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><B>&b;</B>',
        encoding="utf-8",
    )
    with pytest.raises(SourceError, match="XML"):
        read(file)
