"""FHIR R6 (v6.0.0, draft): an occurrence as DeviceAlert. No library knows R6 yet: by hand."""

from __future__ import annotations

from typing import Any, Final

from alerts.alert import AlertEvent, EvidenceView, Kind, Resolution, Responsibility
from alerts.outward import outward
from alerts.text import rfc3339
from service.emitters.fhir_r4b import subject

PRIORITY: Final = "http://hl7.org/fhir/devicealert-priority"
ACTIVATION: Final = "http://hl7.org/fhir/devicealert-activationState"
PRESENCE: Final = "http://hl7.org/fhir/devicealert-presence"
CATEGORY: Final = "urn:vigil:kind"


def device_alert(event: AlertEvent, patient_system: str) -> dict[str, Any]:
    """Return the occurrence as it stands after the event.

    Parameters
    ----------
    event : AlertEvent
        Any.
    patient_system : str
        System of the patient's identifier.
    """
    state = outward(event.state)
    accepted = event.state.responsibility is Responsibility.ACCEPTED
    technical = event.kind is Kind.TECHNICAL
    period = {"start": rfc3339(event.onset_us)}
    if event.cleared_us is not None:
        period["end"] = rfc3339(event.cleared_us)
    said: dict[str, Any] = {
        "resourceType": "DeviceAlert",
        "id": event.occurrence_id,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{event.occurrence_id}"}],
        "status": _status(event),
        "type": "technical" if technical else "physiological",
        "category": [{"coding": [{"system": CATEGORY, "code": str(event.kind)}]}],
        "priority": {"coding": [{"system": PRIORITY, "code": str(event.priority)}]},
        "code": _condition(event),
        "subject": subject(event, patient_system),
        "presence": state.presence,
        "presencePeriod": period,
        "acknowledged": accepted,
        "label": event.text.summary,
        "signal": [
            {
                "activationState": {"coding": [{"system": ACTIVATION, "code": state.activation}]},
                "presence": {"coding": [{"system": PRESENCE, "code": state.signal}]},
            }
        ],
        "derivedFrom": [_observation(item) for item in event.evidence],
    }
    taken = [action.by for action in event.actions if action.type == "acknowledge"]
    if accepted and taken:
        said["acknowledgedBy"] = {"display": taken[-1]}
    if event.location is not None:
        said["location"] = {"display": f"{event.location.ward} {event.location.bed}"}
    return {name: value for name, value in said.items() if value != []}


def _condition(event: AlertEvent) -> dict[str, Any]:
    """What the alert is about, in code and in words."""
    about = event.condition
    coding = {"system": about.system, "code": about.code, "display": about.display}
    return {"coding": [coding], "text": about.display}


def _observation(item: EvidenceView) -> dict[str, Any]:
    """One input, by reference to where it was read."""
    return {
        "observation": {
            "type": "Observation",
            "identifier": {"system": "urn:vigil:evidence", "value": item.id},
            "display": f"{item.label} {item.value:g} {item.unit}",
        }
    }


def _status(event: AlertEvent) -> str:
    """`unknown` is what FHIR has for stale: it may be over or not."""
    if event.state.resolution is Resolution.RETRACTED:
        return "entered-in-error"
    if event.state.resolution is Resolution.CLOSED:
        return "completed"
    return "unknown" if event.state.stale else "in-progress"
