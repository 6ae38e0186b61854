"""Commands about no single alert: silences, maintenance, losses a service tells of, whereabouts.

`occurrence_id` of such a command is its target: matchers of a silence, the id of the silence to
end, the code of a loss, the patient's labels, or "model@version". Not here: what silences hold back
(`alerts.suppress`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from alerts import technical
from alerts.alert import Trigger
from alerts.commands import Refused, refuse
from alerts.ledger import Events
from alerts.occurrence import Labels, Moment
from alerts.silences import MAX_SILENCES, Matchers, Silence, parse_matchers
from alerts.suppress import Standing, WardLoss
from alerts.technical import Technical
from alerts.words import clean, nearest
from streams.records import ANYONE, AlertCommand

TELLABLE: Final = (
    "delivery_lost",
    "device_fleet_outage",
    "degraded",
)  # the engine finds the others itself
MAX_LOSSES: Final = 8  # of the whole ward at one time
SERVICE: Final = "service"  # whichever service tells of a loss, any may tell that it is over
PLACES: Final = ("ward", "bed", "encounter")

Answer = Events | Refused


def carry_out(technical_: Technical, command: AlertCommand, recorded_us: int) -> Answer:
    """Carry out a checked command that names no occurrence.

    Parameters
    ----------
    technical_ : Technical
        The patient's equipment, with the ledger.
    command : AlertCommand
        Has passed `alerts.commands.check`; its action has no move.
    recorded_us : int
        Append time of the command.
    """
    return _DO[command.action](technical_, command, recorded_us)


def _silence(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """Hold back what fits, from now or a planned start, for a bounded time."""
    ledger = technical_.ledger
    matchers = parse_matchers(command.occurrence_id)
    if not isinstance(matchers, Matchers):
        return refuse(f"{command.action}: {matchers}")
    starts_us = max(now_us, command.event_time_us)
    longest_us = ledger.policy.silence_max_us
    if not starts_us < command.until_us <= now_us + longest_us:
        return refuse(f"until_us must be after its start and at most {longest_us / 1e6:g} s ahead")
    standing = ledger.standing.without_past(now_us)
    if any(known.id == command.command_id for known in standing.silences):
        return ()  # the patient started with it
    if len(standing.silences) >= MAX_SILENCES:
        return refuse(f"{MAX_SILENCES} silences are in force: end one first")
    made = Silence(
        id=command.command_id,
        kind=command.action,
        matchers=matchers.fits,
        up_to=matchers.up_to,
        starts_us=starts_us,
        ends_us=command.until_us,
        made_us=now_us,
        by=clean(command.actor),
        comment=clean(command.reason),
    )
    if made.concerns(ledger.subject) or ledger.subject == ANYONE:
        ledger.standing = replace(standing, silences=(*standing.silences, made))
    return ()


def _unsilence(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """End a silence or maintenance early."""
    ledger = technical_.ledger
    standing = ledger.standing.without_past(now_us)
    kept = tuple(s for s in standing.silences if s.id != command.occurrence_id)
    if len(kept) == len(standing.silences) and command.patient_id != ANYONE:
        return refuse(f"no such silence in force: {clean(command.occurrence_id)!r}")
    ledger.standing = replace(standing, silences=kept)
    return ()


def _lost(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """Take a service's word for a loss: an alert of this patient, or news about the whole ward."""
    code = command.occurrence_id
    kind = code.partition(":")[0]
    if kind not in TELLABLE:
        return refuse(f"a service cannot tell {clean(code)!r}; {nearest(kind, TELLABLE)}")
    ledger = technical_.ledger
    if command.patient_id == ANYONE:
        losses = ledger.standing.losses
        if code not in losses and len(losses) >= MAX_LOSSES:
            return refuse(f"{MAX_LOSSES} losses of the ward are known already")
        known = losses.get(code, WardLoss(command.command_id, now_us))
        ledger.standing = replace(ledger.standing, losses={**losses, code: known})
        if ledger.subject != ANYONE:
            return ()
    since_us = min(command.event_time_us, now_us)
    loss = technical.told_loss(code, SERVICE, since_us, clean(command.reason))
    return technical_.lose(loss, _now(now_us))


def _regained(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """End what a service told before; what was never told is over already."""
    code, ledger = command.occurrence_id, technical_.ledger
    if command.patient_id == ANYONE:
        losses = {name: loss for name, loss in ledger.standing.losses.items() if name != code}
        ledger.standing = Standing(ledger.standing.silences, losses)
        if ledger.subject != ANYONE:
            return ()
    words = clean(command.reason) or "It is over"
    return technical_.regain(code, SERVICE, _now(now_us), words)


def _locate(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """Note where the patient is: "ward=W4,bed=12,encounter=e9"; what is not named is not known."""
    found: dict[str, str] = {}
    for part in command.occurrence_id.split(","):
        field, _, value = (piece.strip() for piece in part.partition("="))
        if field not in PLACES:
            return refuse(f"unknown place {clean(field)!r}; {nearest(field, PLACES)}")
        found[field] = clean(value)
    return technical_.ledger.locate(Labels(**found), _now(now_us))


def _use_model(technical_: Technical, command: AlertCommand, now_us: int) -> Answer:
    """Change nothing about alerts: which model scores is the engine's."""
    return ()


def _now(now_us: int) -> Moment:
    """Return when a command is carried out."""
    return Moment(now_us, now_us, trigger=Trigger.COMMAND)


_DO: Final[dict[str, Callable[[Technical, AlertCommand, int], Answer]]] = {
    "silence": _silence,
    "maintenance": _silence,
    "unsilence": _unsilence,
    "lost": _lost,
    "regained": _regained,
    "locate": _locate,
    "use_model": _use_model,
}
