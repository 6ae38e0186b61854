"""What each FHIR resource type becomes. Pure: a decoded resource in, facts out.

`NotAFact` ends a resource: with a reason it is an error, without one it is left out on purpose.
Any other mistake of type in a resource is the caller's to catch.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any, Final

from service.importers.contract import Job
from service.importers.fact import EventError, Fact, name_of
from service.importers.times import DAY_US, iso_us, version_at
from streams.codec import MAX_ID_BYTES, MAX_TEXT_BYTES
from streams.io.store_people import Encounter, Patient
from streams.records import Reason

SYSTEMS: Final = {
    "http://loinc.org": "loinc",
    "http://snomed.info/sct": "snomed",
    "urn:vigil:concept": "vigil",
}
UCUM: Final = "http://unitsofmeasure.org"
_MAX_BASE64: Final = MAX_TEXT_BYTES * 4 // 3 + 8

Resource = dict[str, Any]
Part = Fact | EventError | Encounter | Patient


class NotAFact(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """A resource that gives no fact."""

    def __init__(self, rule: str, reason: Reason | None = None, column: str = "") -> None:
        super().__init__(rule)
        self.rule, self.reason, self.column = rule, reason, column


def observation(resource: Resource, job: Job) -> Iterator[Part]:
    """Value of an Observation and of each of its components."""
    status = resource.get("status", "")
    if status not in _OBSERVED:
        raise NotAFact(f"status {str(status)[:20]}")
    event_us = _when(resource, job, "effectiveDateTime", "effectiveInstant", "effectivePeriod")
    base = _base(resource, job, event_us, "issued", _OBSERVED[status])
    if status in ("cancelled", "entered-in-error") or _has_value(resource):
        yield from _valued(resource, base, "")
    elif "component" not in resource and "hasMember" not in resource:
        raise NotAFact("no value")
    for number, component in enumerate(resource.get("component", ())):
        if _has_value(component) or base["status"] == "cancelled":
            codings = _codings(component.get("code"))
            name = codings[0] if codings else str(number)
            yield from _valued(component, base, f"#{name}")


_OBSERVED: Final = {
    "final": "final",
    "preliminary": "final",
    "amended": "corrected",
    "corrected": "corrected",
    "cancelled": "cancelled",
    "entered-in-error": "cancelled",
}
_VALUES: Final = (
    "valueQuantity", "valueInteger", "valueString", "valueCodeableConcept", "valueBoolean",
)  # fmt: skip


def _has_value(part: Resource) -> bool:
    return any(name in part for name in _VALUES)


def _valued(part: Resource, base: dict[str, Any], suffix: str) -> Iterator[Part]:
    """Fact of an observation or component."""
    value: float | None = None
    unit = text = ""
    quantity = part.get("valueQuantity")
    if quantity is not None:
        if quantity.get("comparator"):
            rule = f"is a bound ({str(quantity['comparator'])[:2]}), not a number"
            yield EventError("", 0, "valueQuantity", rule, Reason.BAD_FIELD)
            return
        value = _number(quantity.get("value"))
        unit = _unit(quantity)
    elif "valueInteger" in part:
        value = _number(part["valueInteger"])
    elif "valueCodeableConcept" in part:
        text = _words(part["valueCodeableConcept"])
    else:
        text = str(part.get("valueString", part.get("valueBoolean", "")))
    event_id = name_of(base["event_id"] + suffix)
    codings = _codings(part.get("code"))
    yield Fact(**{**base, "event_id": event_id}, codings=codings, value=value, unit=unit, text=text)


def administration(resource: Resource, job: Job) -> Iterator[Part]:
    """MedicationAdministration: a drug by name, with its rate or dose for whoever maps it."""
    status = resource.get("status", "")
    if status in ("not-done", "unknown"):
        raise NotAFact(f"status {status}")
    event_us = _when(resource, job, "effectiveDateTime", "effectivePeriod", first="start")
    cancelled = status == "entered-in-error"
    base = _base(resource, job, event_us, "", "cancelled" if cancelled else "final")
    dosage = resource.get("dosage", {})
    quantity = dosage.get("rateQuantity", dosage.get("dose", {}))
    yield _drug(resource, base, _number(quantity.get("value")), _unit(quantity))


def request(resource: Resource, job: Job) -> Iterator[Part]:
    """MedicationRequest: a drug by name from when it was ordered."""
    status = resource.get("status", "")
    if status in ("draft", "unknown"):
        raise NotAFact(f"status {status}")
    event_us = _when(resource, job, "authoredOn")
    cancelled = status in ("entered-in-error", "cancelled")
    base = _base(resource, job, event_us, "authoredOn", "cancelled" if cancelled else "final")
    yield _drug(resource, base, None, "")


def _drug(resource: Resource, base: dict[str, Any], value: float | None, unit: str) -> Fact:
    drug: Resource = resource.get("medicationCodeableConcept") or {}
    text = _words(drug) or str(resource.get("medicationReference", {}).get("display", ""))
    codings = (*_codings(drug), "vigil|medication")
    return Fact(**base, codings=codings, value=value, unit=unit, text=text)


def condition(resource: Resource, job: Job) -> Iterator[Part]:
    """Condition: a diagnosis in words."""
    verified = _codes(resource.get("verificationStatus"))
    if "refuted" in verified:
        raise NotAFact("refuted")
    event_us = _when(resource, job, "onsetDateTime", "recordedDate")
    status = "cancelled" if "entered-in-error" in verified else "final"
    base = _base(resource, job, event_us, "recordedDate", status)
    code = resource.get("code", {})
    yield Fact(**base, codings=(*_codings(code), "vigil|diagnosis"), text=_words(code))


def encounter(resource: Resource, job: Job) -> Iterator[Part]:
    """Encounter: the stay itself, its admission and its discharge."""
    if resource.get("status") in ("planned", "cancelled", "entered-in-error"):
        raise NotAFact(f"status {resource['status']}")
    period = resource.get("period", {})
    kind = str(resource.get("class", {}).get("code", ""))
    yield from _stay(resource, job, period, kind)
    for name, word in (("start", "admitted"), ("end", "discharged")):
        if name not in period:
            continue
        at_us = _us(period[name], job, "period")
        base = _base(resource, job, at_us, "", "final", known_us=at_us)
        base["event_id"] += f"#{name}"
        text = f"{word} {kind}".strip()
        yield Fact(**base, codings=("vigil|encounter",), text=text)


def _stay(resource: Resource, job: Job, period: Resource, kind: str) -> Iterator[Part]:
    """Stay of an Encounter whose start is known."""
    if "start" not in period:
        return
    starts_us = _us(period["start"], job, "period")
    ends_us = _us(period["end"], job, "period") if "end" in period else None
    if ends_us is not None and ends_us <= starts_us:
        yield EventError("", 0, "period", "ends before it starts", Reason.BAD_TIME)
        return
    places = resource.get("location") or [{}]
    ward = str(places[-1].get("location", {}).get("display", ""))
    name = f"fhir:{resource.get('id', '')}"
    patient = _subject(resource, job)
    if max(len(name.encode()), len(patient.encode())) <= MAX_ID_BYTES:
        yield Encounter(name, patient, starts_us, ends_us, kind[:100], ward[:100], "fhir")


def document(resource: Resource, job: Job) -> Iterator[Part]:
    """DocumentReference: a note, if its text is inside."""
    attachment = resource["content"][0]["attachment"]
    kind = str(attachment.get("contentType", "")).split(";")[0].strip()
    if kind != "text/plain" or "data" not in attachment:
        raise NotAFact(
            f"attachment {kind[:40]} {'inside' if 'data' in attachment else 'elsewhere'}"
        )
    data = attachment["data"]
    if len(data) > _MAX_BASE64:
        raise NotAFact(f"the note is over {MAX_TEXT_BYTES} bytes", Reason.BAD_LENGTH, "content")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotAFact("the note is not UTF-8 text", Reason.UNDECODABLE, "content") from None
    status = "cancelled" if resource.get("status") == "entered-in-error" else "final"
    context = resource.get("context", {})
    when = resource if "period" not in context else {"date": context["period"].get("end")}
    event_us = _when(when, job, "date")
    base = _base(resource, job, event_us, "date", status)
    yield Fact(**base, codings=(*_codings(resource.get("type")), "vigil|note"), text=text)


def patient(resource: Resource, job: Job) -> Iterator[Part]:
    """Patient: sex and age, as of when the resource was last written."""
    written = resource.get("meta", {}).get("lastUpdated")
    if written is None:
        raise NotAFact("no meta.lastUpdated")
    at_us = _us(written, job, "meta.lastUpdated")
    base = _base({**resource, "subject": {"reference": f"Patient/{resource['id']}"}}, job, at_us)
    born_on = str(resource.get("birthDate", ""))
    born = iso_us(f"{born_on[:10]}T00:00:00Z")
    sex = str(resource.get("gender", ""))
    if len(base["patient_id"].encode()) <= MAX_ID_BYTES:
        known = sex if sex in ("male", "female", "other", "unknown") else ""
        yield Patient(base["patient_id"], born_on if born is not None else "", known, None, "fhir")
    if resource.get("gender") in ("male", "female"):
        own = {**base, "event_id": base["event_id"] + "#sex"}
        yield Fact(**own, codings=("vigil|sex",), text=resource["gender"])
    if born is not None:
        own = {**base, "event_id": base["event_id"] + "#age"}
        years = round((at_us - born) / (365.25 * DAY_US), 2)
        yield Fact(**own, codings=("vigil|age_years",), value=years, unit="a")


TYPES: Final[dict[str, Callable[[Resource, Job], Iterator[Part]]]] = {
    "Observation": observation,
    "MedicationAdministration": administration,
    "MedicationRequest": request,
    "Condition": condition,
    "Encounter": encounter,
    "DocumentReference": document,
    "Patient": patient,
}


def _base(
    resource: Resource,
    job: Job,
    event_us: int,
    issued: str = "",
    status: str = "final",
    *,
    known_us: int | None = None,
) -> dict[str, Any]:
    """Fields every fact of a resource shares."""
    kind, own_id = resource["resourceType"], resource.get("id")
    if not isinstance(own_id, str) or not own_id:
        raise NotAFact("has no id, so it could not be told from its copy", Reason.BAD_FIELD, "id")
    meta = resource.get("meta", {})
    written = resource.get(issued) or meta.get("lastUpdated")
    if known_us is None and written:
        known_us = _us(written, job, issued or "meta.lastUpdated")
    if known_us is None and job.delay_s is not None:
        known_us = event_us + round(job.delay_s * 1e6)
    if known_us is None:
        rule = "says nowhere when it became known; declare a delay"
        raise NotAFact(rule, Reason.NO_KNOWN_TIME, issued)
    version = meta.get("versionId", "")
    number = int(version) if str(version).isdecimal() and len(str(version)) < 10 else None
    return {
        "file": "",
        "line": 0,
        "event_id": f"fhir:{kind}/{own_id}",
        "version": version_at(known_us) if number is None else number,
        "status": status,
        "patient_id": _subject(resource, job),
        "event_time_us": event_us,
        "known_time_us": known_us,
        "source": f"fhir:{kind}",
    }


def _subject(resource: Resource, job: Job) -> str:
    whose: Resource = resource.get("subject") or resource.get("patient") or {}
    reference = whose.get("reference", "")
    found = str(reference).rstrip("/").rsplit("/", 1)[-1].removeprefix("urn:uuid:")
    if not (found or job.patient_id):
        raise NotAFact("names no patient", Reason.BAD_FIELD, "subject")
    return found or job.patient_id


def _when(resource: Resource, job: Job, *names: str, first: str = "end") -> int:
    """First of the named times that is there; of a period its end, or its start."""
    for name in names:
        found = resource.get(name)
        if isinstance(found, dict):
            found = found.get(first) or found.get("start") or found.get("end")
        if found:
            return _us(found, job, name)
    raise NotAFact("has no time", Reason.BAD_TIME, names[0])


def _us(text: Any, job: Job, column: str) -> int:
    found = iso_us(str(text)[:40], job.zone)
    if found is None:
        raise NotAFact("must be a time with a zone", Reason.BAD_TIME, column)
    return found


def _codings(code: Any) -> tuple[str, ...]:
    """Codings of a CodeableConcept as "system|code", terminologies first."""
    found = [
        f"{SYSTEMS.get(one.get('system', ''), one.get('system', ''))}|{one['code']}"
        for one in (code or {}).get("coding", ())
        if one.get("code")
    ]
    known = tuple(f"{name}|" for name in SYSTEMS.values())
    return tuple(sorted(found, key=lambda coding: not coding.startswith(known)))


def _codes(code: Any) -> set[str]:
    return {str(one.get("code")) for one in (code or {}).get("coding", ())}


def _words(code: Resource) -> str:
    """Words of a CodeableConcept: what a person wrote, else a display, else a code."""
    if code.get("text"):
        return str(code["text"])
    for one in code.get("coding", ()):
        if one.get("display") or one.get("code"):
            return str(one.get("display") or one["code"])
    return ""


def _unit(quantity: Resource) -> str:
    """Code of a quantity if it is UCUM, else what is shown."""
    if quantity.get("system") == UCUM and quantity.get("code"):
        return str(quantity["code"])
    return str(quantity.get("unit") or quantity.get("code") or "")


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    return float(value)
