"""PagerDuty Events API v2: one incident per occurrence.

An incident pages until somebody acts, so it stands for the signal, not for the record: held back
resolves it, let go triggers it anew. (An acknowledged incident would not page again.)
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from alerts.alert import AlertEvent, Phase, Priority
from alerts.outward import calls
from alerts.text import rfc3339
from service.emitters.contract import HttpRequest, Letter, Plain

MAX_SUMMARY: Final = 1024  # characters, PagerDuty's limit
ACTION: Final = {  # of steps that do not call anybody
    Phase.ACKNOWLEDGED: "acknowledge",
    Phase.SUPPRESSED: "resolve",
    Phase.SNOOZED: "resolve",
    Phase.RESOLVED: "resolve",
    Phase.RETRACTED: "resolve",
}
SEVERITY: Final = {
    Priority.HIGH: "critical",
    Priority.MEDIUM: "error",
    Priority.LOW: "warning",
    Priority.INFO: "info",
}


def mapper(url: str, routing_key: str, link_base: str = "") -> Plain:
    """The emitter's mapper."""
    return Plain(lambda event, now_us: letter(event, url, routing_key, link_base))


def letter(event: AlertEvent, url: str, routing_key: str, link_base: str) -> Letter | None:
    """The request of an event; None for phases an incident has no word for."""
    said = document(event, routing_key, link_base)
    if said is None:
        return None
    headers = (("Content-Type", "application/json"),)
    body = msgspec.json.encode(said)
    return Letter((event.event_id,), HttpRequest("POST", url, headers, body))


def document(event: AlertEvent, routing_key: str, link_base: str = "") -> dict[str, Any] | None:
    """The event as PagerDuty has it; `dedup_key` is the occurrence."""
    action = "trigger" if calls(event) else ACTION.get(event.phase)
    if action is None:
        return None
    said: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": event.occurrence_id,
    }
    if action != "trigger":
        return said
    said["payload"] = {
        "summary": f"{event.subject}: {event.text.summary}"[:MAX_SUMMARY],
        "source": f"vigil/{event.tenant}",
        "severity": SEVERITY[event.priority],
        "timestamp": rfc3339(event.event_us),
        "component": event.condition.code,
        "group": event.location.ward if event.location else event.tenant,
        "class": str(event.kind),
        "custom_details": {
            "why": list(event.text.why),
            "phase": str(event.phase),
            "tier": event.tier,
            "event_id": event.event_id,
        },
    }
    said["client"] = "Vigil"
    if link_base:
        said["client_url"] = link_base.rstrip("/") + event.links.detail
    return said
