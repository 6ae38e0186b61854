"""An alert's axes in the words of other systems: one table, `docs/delivery.md` shows it.

Not here: the axes (`alerts.alert`). Unknown suppressions count as bounded silence.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from alerts.alert import AlertRecord, Kind, Phase, Priority, Resolution


class Outward(NamedTuple):
    """One state elsewhere."""

    isa: str  # ISA-18.2, as alerta has it
    thingsboard: str
    alarm_state: str  # IHE ACM, MDC 68482
    inactivation: str  # MDC 68483
    present: bool  # FHIR R6 DeviceAlert.presence
    signal: str  # DeviceAlert.signal.presence
    activation: str  # DeviceAlert.signal.activationState


NOTHING: Final = Outward("NORM", "", "inactive", "enabled", False, "off", "on")
TABLE: Final = {
    ("active", False): Outward("UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on", "on"),
    ("active", True): Outward(
        "ACKED", "ACTIVE_ACK", "active", "alert-acknowledged", True, "ack", "on"
    ),
    ("latched", False): Outward(
        "RTNUN", "CLEARED_UNACK", "latched", "enabled", False, "latched", "on"
    ),
    ("cleared", False): Outward(
        "RTNUN", "CLEARED_UNACK", "inactive", "enabled", False, "off", "on"
    ),
    ("cleared", True): Outward(
        "NORM", "CLEARED_ACK", "inactive", "alert-acknowledged", False, "off", "on"
    ),
}
SUPPRESSED: Final = {
    "snoozed": Outward("SHLVD", "", "active", "alarm-paused", True, "off", "paused"),
    "silenced": Outward("SHLVD", "", "active", "alarm-paused", True, "off", "paused"),
    "inhibited": Outward("DSUPR", "", "active", "alarm-off", True, "off", "off"),
    "maintenance": Outward("DSUPR", "", "active", "alarm-off", True, "off", "off"),
    "out_of_service": Outward("OOSRV", "", "inactive", "alarm-off", False, "off", "off"),
}
ACM_PHASE: Final = {  # IHE ACM, MDC 68481
    Phase.RAISED: "start",
    Phase.CONTINUED: "continue",
    Phase.ESCALATED: "escalate",
    Phase.DEESCALATED: "deescalate",
    Phase.RETRACTED: "end",
}
ACM_PRIORITY: Final = {  # MDC 68484
    Priority.HIGH: "PH",
    Priority.MEDIUM: "PM",
    Priority.LOW: "PL",
    Priority.INFO: "PI",
}
ACM_TYPE: Final = {  # MDC 68485
    Kind.PHYSIOLOGICAL: "SP",
    Kind.TECHNICAL: "ST",
    Kind.ADVISORY: "SA",
}


def outward(record: AlertRecord) -> Outward:
    """Return the record's state in the words of other systems.

    A closed or retracted occurrence is nothing any more, whatever its axes were.
    """
    state = record.state
    accepted = state.responsibility == "accepted"
    condition = str(state.condition)
    if state.resolution is not Resolution.OPEN:
        seen = TABLE["cleared", True]
        return seen if accepted else NOTHING._replace(thingsboard="CLEARED_UNACK")
    if condition == "pending":
        return NOTHING
    if state.suppression != "none":
        held = SUPPRESSED.get(str(state.suppression), SUPPRESSED["silenced"])
        present = held.present and condition == "active"
        return held if present == held.present else held._replace(present=False)
    if condition == "latched" and accepted:  # seen: not latched any more
        condition = "cleared"
    return TABLE[condition, accepted]


def acm_phase(phase: Phase, record: AlertRecord) -> str:
    """Return the IHE ACM event phase of a step; empty when there is nothing to tell.

    `end` comes when the condition ends and is not latched; a latched alert is updated, then reset
    when a person has seen it. What had ended before is not ended again when it is resolved.
    """
    known = ACM_PHASE.get(phase)
    if known is not None:
        return known
    state = record.state
    if phase is Phase.CLEARED:
        return "update" if state.latched else "end"
    if phase is Phase.ACKNOWLEDGED and state.condition == "cleared":
        return "reset"
    if phase is Phase.RESOLVED:
        return {"active": "end", "latched": "reset"}.get(str(state.condition), "")
    return "update"
