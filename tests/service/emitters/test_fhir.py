"""FHIR R4B against `fhir.resources`, R6 DeviceAlert against its definition; server or files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from alerts.alert import Kind, Location, Phase, Resolution, Suppression
from alerts.outward import CALLS
from service.emitters.contract import Document, HttpRequest, Result
from service.emitters.fhir import letter
from service.emitters.fhir_r4b import bundle
from service.emitters.fhir_r6 import device_alert
from service.emitters.folder import FolderSender
from service.emitters.http import HttpSender
from service.emitters.spec import FhirSpec
from tests.service.emitters.emitter_kit import Listener, axes, life, raised, step

PATIENT = "urn:example:patients"


def resources(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in said["entry"]}


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("kind", list(Kind))
def test_every_bundle_is_valid_r4b(phase: Phase, kind: Kind) -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle")
    said = bundle(raised(phase=phase, kind=kind), PATIENT)
    checked = r4b.Bundle.model_validate(json.loads(json.dumps(said)))
    assert len(checked.entry) == len(said["entry"])
    ids = [entry["resource"]["id"] for entry in said["entry"]]
    assert all(len(each) <= 64 for each in ids)


def test_the_flag_follows_the_life_of_the_occurrence() -> None:
    flags = [resources(bundle(event, PATIENT))["Flag"] for event in life("occ-1")]
    assert [flag["status"] for flag in flags] == ["active", "active", "active", "inactive"]
    assert {flag["id"] for flag in flags} == {"occ-1"}
    assert "end" in flags[-1]["period"]
    wrong = step(raised("o"), Phase.RETRACTED, resolution=Resolution.RETRACTED)
    said = resources(bundle(wrong, PATIENT))
    assert {r["status"] for r in said.values()} == {"entered-in-error"}


def test_only_steps_that_ask_people_are_communications() -> None:
    told = {
        phase
        for phase in Phase
        if "Communication" in resources(bundle(raised(phase=phase), PATIENT))
    }
    assert told == {*CALLS, Phase.RETRACTED}


def test_what_is_held_back_is_a_flag_and_no_communication() -> None:
    quiet = raised(state=axes(suppression=Suppression.SILENCED))
    assert set(resources(bundle(quiet, PATIENT))) == {"Flag", "RiskAssessment", "Observation"}
    let_go = step(quiet, Phase.UNSUPPRESSED, suppression=Suppression.NONE)
    assert "Communication" in resources(bundle(let_go, PATIENT))


def test_a_rule_score_is_never_called_a_probability() -> None:
    said = resources(bundle(raised(), PATIENT))["RiskAssessment"]
    (prediction,) = said["prediction"]
    assert "probabilityDecimal" not in prediction
    assert prediction["qualitativeRisk"]["text"] == "NEWS2 7 (7-16)"
    assert len(said["basis"]) == 4


def test_a_calibrated_score_is_one_within_its_horizon() -> None:
    from msgspec.structs import replace

    event = raised()
    assert event.score is not None
    score = replace(event.score, value=0.83, calibrated=True, horizon_s=43_200.0)
    (prediction,) = resources(bundle(raised(score=score), PATIENT))["RiskAssessment"]["prediction"]
    assert prediction["probabilityDecimal"] == 0.83
    assert prediction["whenPeriod"]["end"] > prediction["whenPeriod"]["start"]


def test_the_news2_total_is_an_observation_with_its_bounds_and_points() -> None:
    event = raised()
    assert event.news2 is not None
    said = resources(bundle(event, PATIENT))["Observation"]
    assert said["code"]["coding"][0]["code"] == "1104051000000101"
    assert said["valueQuantity"]["value"] == event.news2.total
    values = {part["code"]["text"]: part["valueInteger"] for part in said["component"]}
    assert values["NEWS2 lower bound"] == event.news2.lower
    assert values["NEWS2 upper bound"] == event.news2.upper
    points = [value for words, value in values.items() if words.startswith("NEWS2 points")]
    assert sum(points) == event.news2.total
    named = [each["identifier"]["value"] for each in said["derivedFrom"]]
    assert named == [item.id for item in event.evidence]


def test_a_retracted_alert_takes_its_observation_back() -> None:
    wrong = step(raised("o"), Phase.RETRACTED, resolution=Resolution.RETRACTED)
    assert resources(bundle(wrong, PATIENT))["Observation"]["status"] == "entered-in-error"


def test_an_alert_about_everybody_is_about_a_group_and_no_patient() -> None:
    r4b = pytest.importorskip("fhir.resources.R4B.bundle")
    said = bundle(raised(subject="*", kind=Kind.TECHNICAL, score=None, news2=None), PATIENT)
    r4b.Bundle.model_validate(json.loads(json.dumps(said)))
    assert {r["subject"]["type"] for r in resources(said).values()} == {"Group"}
    assert device_alert(raised(subject="*"), PATIENT)["subject"]["type"] == "Group"


def test_a_technical_alert_has_no_score_and_is_no_clinical_flag() -> None:
    said = resources(bundle(raised(kind=Kind.TECHNICAL, score=None, evidence=()), PATIENT))
    assert "RiskAssessment" not in said
    assert said["Flag"]["category"][0]["coding"][0]["code"] == "admin"


# DeviceAlert of FHIR 6.0.0 as far as Vigil fills it: cardinalities, types, closed to other names.
CONCEPT = {"type": "object", "required": ["coding"], "properties": {"coding": {"type": "array"}}}
REFERENCE = {"type": "object", "minProperties": 1}
DEVICE_ALERT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["resourceType", "status", "code", "subject", "presence"],
    "properties": {
        "resourceType": {"const": "DeviceAlert"},
        "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
        "identifier": {"type": "array"},
        "status": {"enum": ["in-progress", "completed", "entered-in-error", "unknown"]},
        "category": {"type": "array", "items": CONCEPT},
        "type": {"enum": ["physiological", "technical"]},
        "priority": CONCEPT,
        "code": CONCEPT,
        "subject": REFERENCE,
        "encounter": REFERENCE,
        "presence": {"type": "boolean"},
        "presencePeriod": {"type": "object", "required": ["start"]},
        "device": REFERENCE,
        "location": REFERENCE,
        "acknowledged": {"type": "boolean"},
        "acknowledgedBy": REFERENCE,
        "label": {"type": "string"},
        "signal": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["activationState"],
                "properties": {"activationState": CONCEPT, "presence": CONCEPT},
            },
        },
        "derivedFrom": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["observation"]},
        },
    },
}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_device_alert_is_valid_r6(phase: Phase) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    place = Location("W4", "12")
    for event in (raised(phase=phase), raised(phase=phase, kind=Kind.ADVISORY, location=place)):
        jsonschema.validate(device_alert(event, PATIENT), DEVICE_ALERT)
    for event in life("occ-1"):
        jsonschema.validate(device_alert(event, PATIENT), DEVICE_ALERT)


def test_a_device_alert_says_who_took_it_and_that_stale_is_unknown() -> None:
    events = life("occ-1")
    assert device_alert(events[1], PATIENT)["acknowledgedBy"] == {"display": "user:nurse"}
    assert device_alert(events[-1], PATIENT)["status"] == "completed"
    stale = device_alert(step(events[0], Phase.STALE, stale=True), PATIENT)
    assert (stale["status"], stale["presence"]) == ("unknown", True)


def test_a_server_gets_transactions_or_device_alerts(listener: Listener) -> None:
    async def both() -> list[Result]:
        sender = HttpSender(2.0)
        found = []
        for version in ("R4B", "R6"):
            spec = FhirSpec(url=f"{listener.url}/fhir/", version=version)
            found.append((await sender.post(letter(raised("occ"), spec, "tok").content)).result)
        await sender.close()
        return found

    assert asyncio.run(both()) == [Result.DELIVERED] * 2
    one, two = listener.requests
    assert (one.method, one.path) == ("POST", "/fhir")
    assert one.json["type"] == "transaction"
    assert (two.method, two.path) == ("PUT", "/fhir/DeviceAlert/occ")
    assert two.headers["authorization"] == "Bearer tok"
    assert two.headers["content-type"] == "application/fhir+json"


def test_a_folder_gets_whole_files_and_a_repeat_replaces_them(tmp_path: Path) -> None:
    spec = FhirSpec(folder=str(tmp_path / "out"))
    sent = letter(raised("occ"), spec, "")
    assert isinstance(sent.content, Document)
    assert not isinstance(sent.content, HttpRequest)
    sender = FolderSender(tmp_path / "out")
    for _ in range(2):
        assert asyncio.run(sender.post(sent.content)).result is Result.DELIVERED
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "occ-000001.json"
    assert json.loads(file.read_text("utf-8"))["resourceType"] == "Bundle"


def test_a_folder_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    sender = FolderSender(tmp_path / "file")
    assert asyncio.run(sender.post(Document("x", b""))).result is Result.AWAY
