"""FHIR R4B: an occurrence as Flag, each step that asks people as Communication, its scores.

One transaction Bundle per event, every entry a PUT under an id made of the event's: sending it
twice changes nothing. Built by hand; `fhir.resources` checks it in the tests only.
"""

from __future__ import annotations

from typing import Any, Final

from alerts.alert import AlertEvent, Kind, News2View, Phase, Priority, Resolution
from alerts.outward import calls
from alerts.text import rfc3339
from streams.records import ANYONE

FLAG_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/flag-category"
COMMUNICATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/communication-category"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
EVIDENCE: Final = "urn:vigil:evidence"
EVERYBODY: Final = "urn:vigil:group"
NEWS2_MODEL: Final = "news2"
NEWS2_CODE: Final = {
    "system": "http://snomed.info/sct",
    "code": "1104051000000101",
    "display": "Royal College of Physicians NEWS2 (National Early Warning Score 2) total score",
}
_BOUNDS: Final = ("lower", "upper")
URGENCY: Final = {  # FHIR request-priority
    Priority.HIGH: "stat",
    Priority.MEDIUM: "asap",
    Priority.LOW: "urgent",
    Priority.INFO: "routine",
}


def bundle(event: AlertEvent, patient_system: str) -> dict[str, Any]:
    """Return the transaction of an event.

    Parameters
    ----------
    event : AlertEvent
        Any.
    patient_system : str
        System of the patient's identifier; the value is the record's pseudonym.
    """
    patient = subject(event, patient_system)
    resources = [flag(event, patient)]
    if calls(event) or event.phase is Phase.RETRACTED:
        resources.append(communication(event, patient))
    if event.score is not None:
        resources.append(risk_assessment(event, patient))
    if event.news2 is not None:
        resources.append(news2_observation(event, event.news2, patient))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:vigil:{item['resourceType']}:{item['id']}",
                "resource": item,
                "request": {"method": "PUT", "url": f"{item['resourceType']}/{item['id']}"},
            }
            for item in resources
        ],
    }


def flag(event: AlertEvent, patient: dict[str, Any]) -> dict[str, Any]:
    """Return the occurrence as a Flag: active until it is closed."""
    resolution = event.state.resolution
    retracted = resolution is Resolution.RETRACTED
    active = resolution is Resolution.OPEN
    period = {"start": rfc3339(event.onset_us)}
    if not active:
        period["end"] = rfc3339(max(event.cleared_us or event.event_us, event.onset_us))
    category = "admin" if event.kind is Kind.TECHNICAL else "clinical"
    return {
        "resourceType": "Flag",
        "id": event.occurrence_id,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{event.occurrence_id}"}],
        "status": "entered-in-error" if retracted else "active" if active else "inactive",
        "category": [{"coding": [{"system": FLAG_CATEGORY, "code": category}]}],
        "code": {"coding": [_condition(event)], "text": event.text.summary},
        "subject": patient,
        "period": period,
    }


def communication(event: AlertEvent, patient: dict[str, Any]) -> dict[str, Any]:
    """Return the words told to people at this step."""
    lines = "\n".join((event.text.summary, *event.text.why))
    wrong = event.phase is Phase.RETRACTED
    return {
        "resourceType": "Communication",
        "id": _step_id(event),
        "identifier": [{"system": "urn:vigil:event", "value": event.event_id}],
        "status": "entered-in-error" if wrong else "completed",
        "category": [{"coding": [{"system": COMMUNICATION_CATEGORY, "code": "alert"}]}],
        "priority": URGENCY[event.priority],
        "subject": patient,
        "about": [{"reference": f"Flag/{event.occurrence_id}"}],
        "sent": rfc3339(event.recorded_us),
        "payload": [{"contentString": lines}],
    }


def risk_assessment(event: AlertEvent, patient: dict[str, Any]) -> dict[str, Any]:
    """Return the score behind the step; a probability only where it is a calibrated one."""
    score = event.score
    assert score is not None  # the caller has looked
    bounds = "" if score.lower == score.upper else f" ({_plain(score.lower)}-{_plain(score.upper)})"
    prediction: dict[str, Any] = {
        "outcome": {"text": score.outcome or event.condition.display},
        "qualitativeRisk": {"text": f"{score.label} {_plain(score.value)}{bounds}"},
    }
    if score.calibrated:
        prediction["probabilityDecimal"] = score.value
    end_us = event.window[1] if event.window else event.event_us
    if score.horizon_s > 0:
        until_us = end_us + round(score.horizon_s * 1e6)
        prediction["whenPeriod"] = {"start": rfc3339(end_us), "end": rfc3339(until_us)}
    model = event.model
    said: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "id": _step_id(event),
        "status": _result_status(event),
        "subject": patient,
        "occurrenceDateTime": rfc3339(end_us),
        "prediction": [prediction],
        "basis": _evidence(event),
    }
    if model is not None:
        said["method"] = {"text": "/".join(filter(None, (model.name, model.version)))}
    if not said["basis"]:
        del said["basis"]
    return said


def news2_observation(
    event: AlertEvent, news2: News2View, patient: dict[str, Any]
) -> dict[str, Any]:
    """Return the NEWS2 total as an Observation; its components are the bounds and the points.

    The total counts what is there, so it is the lower bound; the upper is what the missing
    inputs leave open. Code: SNOMED CT 1104051000000101, as in the UK Core examples.
    """
    components = [_component(f"NEWS2 {name} bound", getattr(news2, name)) for name in _BOUNDS]
    components.append(_component("NEWS2 SpO2 scale", news2.scale))
    if event.model is not None and event.model.name == NEWS2_MODEL:
        components += [
            _component(f"NEWS2 points: {item.label}", round(item.contribution))
            for item in event.evidence
        ]
    said: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"{_step_id(event)}-news2",
        "identifier": [{"system": "urn:vigil:event", "value": f"{event.event_id}:news2"}],
        "status": _result_status(event),
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": "survey"}]}],
        "code": {"coding": [NEWS2_CODE], "text": "NEWS2 total"},
        "subject": patient,
        "effectiveDateTime": rfc3339(event.window[1] if event.window else event.event_us),
        "valueQuantity": {
            "value": news2.total,
            "unit": "score",
            "system": "http://unitsofmeasure.org",
            "code": "{score}",
        },
        "component": components,
        "derivedFrom": _evidence(event),
    }
    if news2.missing:
        said["note"] = [{"text": f"Without {', '.join(news2.missing)}"}]
    return {name: value for name, value in said.items() if value != []}


def subject(event: AlertEvent, system: str) -> dict[str, Any]:
    """A logical reference to whom an alert is about: a patient, or everybody as a Group.

    The pseudonym is an identifier, not a server's id.
    """
    if event.subject == ANYONE:
        return {"type": "Group", "identifier": {"system": EVERYBODY, "value": "all-patients"}}
    return {"type": "Patient", "identifier": {"system": system, "value": event.subject}}


def _component(words: str, value: int) -> dict[str, Any]:
    return {"code": {"text": words}, "valueInteger": value}


def _result_status(event: AlertEvent) -> str:
    if event.state.resolution is Resolution.RETRACTED:
        return "entered-in-error"
    return "amended" if event.revised else "final"


def _evidence(event: AlertEvent) -> list[dict[str, Any]]:
    """References to what the score rests on, with the values in words."""
    return [
        {
            "type": "Observation",
            "identifier": {"system": EVIDENCE, "value": item.id},
            "display": f"{item.label} {_plain(item.value)} {item.unit}",
        }
        for item in event.evidence
    ]


def _condition(event: AlertEvent) -> dict[str, Any]:
    ref = event.condition
    return {"system": ref.system, "code": ref.code, "display": ref.display}


def _step_id(event: AlertEvent) -> str:
    return f"{event.occurrence_id}-{event.seq}"


def _plain(value: float | None) -> str:
    """A number without a needless fraction."""
    return "?" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
