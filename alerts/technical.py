"""Conditions of the equipment: what is lost, of which device, in codes and in words.

Not here: finding silence, which is the engine's: it owns the clocks.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from alerts import occurrence
from alerts.alert import Kind
from alerts.ledger import Events, Ledger
from alerts.lifecycle import Move
from alerts.occurrence import Moment, Start
from alerts.text import clock
from streams.records import DeviceStatus

NO_DATA: Final = "no_data"
LEAD_OFF: Final = "lead_off"
MONITORING_LOST: Final = "monitoring_lost"
LOOSE: Final = {"lead_off": "is off the skin", "not_worn": "is not worn"}
WEARABLE: Final = "wearable"
UNTIL_BACK: Final = "What rests on it cannot be judged until it is back"
MAX_SOURCES = 16  # devices one condition keeps count of


class Loss(NamedTuple):
    """Something that should be there and is not."""

    kind: str  # a table of the policy's [technical]
    code: str  # condition code: one occurrence per code
    source: str  # the device, or "engine"
    since_us: int
    finding: str  # in words
    signal: str  # what it takes away; empty: everything


class Technical:
    """The equipment of one patient: `lost` maps a condition to who lacks it and since when."""

    __slots__ = ("ledger", "lost")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lost: dict[str, dict[str, int]] = {}

    def lose(self, loss: Loss, now_us: int) -> Events:
        """Raise a loss, or merge a second source into it; a loss already known is free.

        One that a person closed while it lasts stays closed until the thing is back.
        """
        sources = self.lost.setdefault(loss.code, {})
        if loss.source in sources or len(sources) >= MAX_SOURCES:
            return ()
        sources[loss.source] = loss.since_us
        moment = Moment(now_us, now_us)
        occ = self.ledger.active(loss.code)
        if occ is None and len(sources) > 1:
            return ()
        if occ is not None:
            more = occ.record.duplicate_count + 1
            return self.ledger.kept(
                occurrence.change(occ, Move.UPDATE, moment, loss.finding, duplicate_count=more)
            )
        spec = self.ledger.policy.technical[loss.kind]
        start = Start(
            loss.code, Kind.TECHNICAL, spec.display, spec.priority, loss.since_us, loss.finding
        )
        missing = (modality_of(loss.signal),) if loss.signal else ()
        return self.ledger.begin(start, moment, UNTIL_BACK, missing_modalities=missing)

    def regain(self, code: str, source: str, now_us: int, cause: str) -> Events:
        """End a loss for one source; the condition ends with the last one."""
        sources = self.lost.get(code, {})
        if sources.pop(source, None) is None or sources:
            return ()
        del self.lost[code]
        if self.ledger.active(code) is None:
            return ()
        moment = Moment(now_us, now_us)
        return self.ledger.clear(code, moment, cause, last_evidence_us=now_us)


def silence_loss(signal: str, device_id: str, since_us: int) -> Loss:
    """Return the loss of a signal that stopped coming; an empty one means the whole device.

    Examples
    --------
    >>> silence_loss("ecg", "chest-1", 0).finding
    'No ecg data from chest-1 since 1970-01-01 00:00:00 UTC'
    """
    what = f"No {signal} data" if signal else "No data at all"
    finding = f"{what} from {device_id} since {clock(since_us)}"
    return Loss(NO_DATA, f"{NO_DATA}:{signal}", device_id, since_us, finding, signal)


def device_loss(status: DeviceStatus) -> Loss | None:
    """Return what a device says it has lost, None if nothing."""
    words = LOOSE.get(status.status)
    if words is None:
        return None
    what = f"{status.signal} sensor of {status.device_id}" if status.signal else status.device_id
    finding = f"{what} {words} since {clock(status.event_time_us)}"
    code = f"{LEAD_OFF}:{status.signal}"
    return Loss(LEAD_OFF, code, status.device_id, status.event_time_us, finding, status.signal)


def worn_codes(status: DeviceStatus, lost: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codes of `lost` that a "worn" ends; a device that names no signal means all."""
    if status.status != "worn":
        return ()
    wanted = f"{LEAD_OFF}:{status.signal}"
    return tuple(
        code for code in lost if code == wanted or (not status.signal and code.startswith(wanted))
    )


def fault_loss(reason: str, since_us: int) -> Loss:
    """Return the loss of monitoring itself."""
    finding = f"This patient is not watched since {clock(since_us)}: {reason}"
    return Loss(MONITORING_LOST, MONITORING_LOST, "engine", since_us, finding, "")


def modality_of(signal_or_feature: str) -> str:
    """Return the modality a signal or catalogue feature belongs to: its first word.

    Examples
    --------
    >>> modality_of("acc_x"), modality_of("ecg_hr_bpm"), modality_of("resp")
    ('acc', 'ecg', 'resp')
    """
    return signal_or_feature.partition("_")[0]
