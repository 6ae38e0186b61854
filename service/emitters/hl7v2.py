"""HL7 v2.6 ORU^R40 after IHE ACM: an alert as a group of OBX facets, one message per event.

Facets and codes: IHE DEV TF-2, PCD-04. Not here: the connection (`service.emitters.mllp`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from alerts.alert import AlertEvent
from alerts.outward import PRIORITIES, TYPES, acm_phase, outward
from service.emitters.contract import Document, Letter, Plain
from service.emitters.spec import Hl7Spec
from streams.records import ANYONE

PROFILE: Final = "IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.4.1^ISO"
VERSION: Final = "2.6"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "&": "\\T\\",
        "~": "\\R\\",
        "\r": "\\X0D\\",
        "\n": "\\X0A\\",
    }
)


def mapper(spec: Hl7Spec) -> Plain:
    """The emitter's mapper."""
    return Plain(lambda event, now_us: letter(event, spec))


def letter(event: AlertEvent, spec: Hl7Spec) -> Letter | None:
    """The message of an event, for MLLP or as a file; None when ACM has no phase for it."""
    if not acm_phase(event.phase, event):
        return None
    body = message(event, spec).encode()
    ids = (event.event_id,)
    if spec.folder:
        return Letter(ids, Document(f"{event.occurrence_id}-{event.seq:06d}.hl7", body))
    return Letter(ids, body)


def message(event: AlertEvent, spec: Hl7Spec) -> str:
    """Return the message, segments ended by carriage returns.

    Parameters
    ----------
    event : AlertEvent
        One whose `acm_phase` is not empty.
    spec : Hl7Spec
        Who sends and who receives.
    """
    state = outward(event.state)
    at = stamp(event.recorded_us)
    words = "; ".join((event.text.summary, *event.text.why))
    condition = event.condition
    code = condition.mdc or condition.code
    system = "MDC" if condition.mdc else "99VIGIL"
    facets = (
        ("196616^MDC_EVT_ALARM^MDC", f"{escaped(condition.display)}"),
        ("68480^MDC_ATTR_ALERT_SOURCE^MDC", f"{escaped(code)}^{escaped(condition.code)}^{system}"),
        ("68481^MDC_ATTR_EVENT_PHASE^MDC", acm_phase(event.phase, event)),
        ("68482^MDC_ATTR_ALARM_STATE^MDC", state.acm_state),
        ("68483^MDC_ATTR_ALARM_INACTIVATION_STATE^MDC", state.acm_inactivation),
        ("68484^MDC_ATTR_ALARM_PRIORITY^MDC", PRIORITIES[event.priority]),
        ("68485^MDC_ATTR_ALERT_TYPE^MDC", TYPES[event.kind]),
        ("68546^MDC_ATTR_ALERT_TEXT^MDC", escaped(words)),
    )
    segments = [_header(event, spec, at)]
    if event.subject != ANYONE:  # ACM: an alert of no patient has no PID
        segments.append(_patient(event, spec))
    if event.location is not None:
        place = f"{escaped(event.location.ward)}^^{escaped(event.location.bed)}"
        segments.append(f"PV1||I|{place}")
    order = f"{event.occurrence_id}^VIGIL"
    what = "196616^MDC_EVT_ALARM^MDC"
    segments.append(f"OBR|1||{order}|{what}|||{stamp(event.event_us)}")
    for facet, (name, value) in enumerate(facets, 1):
        kind = "CWE" if facet == 2 else "ST"
        segments.append(f"OBX|{facet}|{kind}|{name}|1.0.0.0.{facet}|{value}||||||R|||{at}")
    return "".join(f"{segment}\r" for segment in segments)


def _header(event: AlertEvent, spec: Hl7Spec, at: str) -> str:
    """MSH; the control id is the event's, so that a repeat is told by it."""
    who = "|".join(
        escaped(part)
        for part in (spec.sending, spec.facility, spec.receiving, spec.receiving_facility)
    )
    control = f"{event.occurrence_id[:8]}{event.occurrence_id[-4:]}-{event.seq}"
    kind = "ORU^R40^ORU_R40"
    return f"MSH|^~\\&|{who}|{at}||{kind}|{control}|P|{VERSION}|||AL|NE||UNICODE UTF-8|||{PROFILE}"


def _patient(event: AlertEvent, spec: Hl7Spec) -> str:
    """PID: the pseudonym and no name."""
    identifier = f"{escaped(event.subject)}^^^{escaped(spec.patient_authority)}^PI"
    return f"PID|||{identifier}||^^^^^^U"


def escaped(text: str) -> str:
    r"""Text that cannot break a message: delimiters escaped, control characters gone.

    Examples
    --------
    >>> print(escaped("a|b^c\rMSH"))
    a\F\b\S\c\X0D\MSH
    """
    kept = "".join(c for c in text if c.isprintable() or c in "\r\n")
    return kept.translate(_ESCAPES)


def stamp(time_us: int) -> str:
    """A time as HL7 has it, to the millisecond, UTC.

    Examples
    --------
    >>> stamp(1_750_000_000_123_000)
    '20250615150640.123+0000'
    """
    at = _EPOCH + timedelta(microseconds=time_us)
    return f"{at:%Y%m%d%H%M%S}.{at.microsecond // 1000:03d}+0000"


def control_id(body: bytes) -> str:
    """MSH-10 of a message of ours."""
    return body.split(b"\r", 1)[0].split(b"|")[9].decode()


def acknowledgement(answer: bytes) -> tuple[str, str]:
    r"""Code and control id of an ACK: MSA-1 and MSA-2; empty when there is no MSA.

    Examples
    --------
    >>> acknowledgement(b"MSH|^~\\&|X\rMSA|AA|c-1\r")
    ('AA', 'c-1')
    """
    for segment in answer.split(b"\r"):
        fields = segment.split(b"|")
        if fields[0] == b"MSA" and len(fields) > 2:
            return fields[1].decode("ascii", "replace"), fields[2].decode("ascii", "replace")
    return "", ""
